"""The console in a real browser: accessible, by keyboard alone, live, and calm about a server that is away."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.browser import console
from tests.browser.chromium import Browser
from tests.web.api.client import client, end_jobs
from tests.web.console.batches.test_job import jobs_of
from tests.web.console.batches.test_operations import ordered
from tests.web.console.money.test_in_doubt import doubted
from tests.web.console.pages import signed_in
from tests.web.serving import Web, serving
from worker.hooks.queries import hooks
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat
from worker.settings import Settings
from worker.web import server

NODE = UUID("01a226fb-54b2-7744-9e6d-edb8c238260d")
COUNT_REQUESTS = """
    window.asked = 0;
    const before = window.fetch;
    window.fetch = (...given) => { window.asked += 1; return before(...given); };"""


@pytest.fixture
def web(database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a server with a few batches."""
    settings = Settings.model_validate({}).model_copy(
        update={"database_url": SecretStr(database_url), "home": tmp_path, "store": str(tmp_path / "images")}
    )
    opened = server.context(settings)
    with serving(opened) as found:
        shop = client(found)
        end_jobs(
            opened.database, shop.submit(["a vase", "a bowl"], "a", name="vases", owner="shop").json()["batch"], [1]
        )
        shop.submit(["a chair"], "b", name="chairs")
        yield found
    opened.database.close()


def batch_of(web: Web, name: str = "vases") -> str:
    with web.context.database.transaction() as tx:
        return str(tx.execute(text("SELECT id FROM batch WHERE name = :name"), {"name": name}).scalar_one())


PAGES = (
    "/",
    "/batches",
    "/batches?q=nothing",
    "BATCH",
    "JOB",
    "/search",
    "/search?q=vase",
    "/operations",
    "OPERATION",
    "/in-doubt",
    "/money",
    "/catalogs",
    "/catalogs/mugs/import",
    "/money/verify",
    "/schedules",
    "/schedules/new",
    "/accounts",
    "WEBHOOKS",
    "HOOK",
    "PLAN",
    "/catalogs/mugs/history?sku=a",
    "/money/check",
    "/audit-log",
    "/settings",
    "/nothing",
)


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_no_page_has_a_barrier_or_breaks_its_own_policy_or_is_wider_than_its_screen(
    browser: Browser, web: Web, kind: str
) -> None:
    doubted(web)
    operation = ordered(signed_in(web, "operator"), web, {"action": "pause", "all": "1"})
    places = filled(web)
    console.look(browser, is_dark=kind == "dark", is_phone=kind == "phone")
    console.sign_in(browser, web)
    found: dict[str, object] = {}

    for path in PAGES:
        batch = batch_of(web)
        named = {"BATCH": f"/batches/{batch}", "JOB": f"/jobs/{jobs_of(web, batch)[0]}", "OPERATION": operation}
        browser.open(web.url + (named | places).get(path, path))
        browser.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        too_wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        sideways = browser.value(SIDEWAYS) if kind == "phone" else ""
        complaints = [each for each in browser.complaints() if path in PAGES[:-1] or "404" not in each]
        found[path] = (console.barriers(browser), complaints, max(0, too_wide), sideways)

    assert found == dict.fromkeys(PAGES, ([], [], 0, ""))


SIDEWAYS = """
    [...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth)
        .map((each) => each.innerText.slice(0, 60) + ': ' + each.scrollWidth).join('; ')"""
"""The tables that a person on a phone would have to scroll sideways."""
LONG = "the provider's statement of last month, which has to be wrapped on a small screen"


def filled(web: Web) -> dict[str, str]:
    """Fill the tables of pages with what is long; return the paths of pages by their names in the list."""
    admin, account = signed_in(web, "admin", "viewer"), web.context.settings.account

    def post(path: str, files: object = None, **fields: str) -> str:
        answer = admin.post(web.url + path, data=fields, files=files, timeout=30)  # type: ignore[arg-type]
        assert answer.ok, answer.text
        return answer.url.removeprefix(web.url)

    post("/settings/tokens", name="a till of the shop", all_owners="1", **{"right-read": "1", "right-submit": "1"})
    post("/settings/hooks", target="https://hooks.example.com/of/every/batch/that/ends", **{"event-batch.done": "1"})
    items = {"manifest": ("items.csv", "sku,colour\na,red\nb,blue\n", "text/csv")}
    post("/catalogs/mugs/import", files={**items, "batch": (None, 'prompt = "A {{ colour }} mug"')})
    post(f"/batches/{batch_of(web)}/deadline", when="6h", reason=LONG)
    post("/money/cap", owner="studio", credits="1,000,000,000", reason=LONG)
    post("/accounts/owner", owner="a studio with a long name", pays=f"account:{account}", reason=LONG)
    with web.context.database.transaction() as tx:
        nodes.beat(
            tx, Beat(node_id=NODE, name="studio-1.example.com:4711", version="1", round_age_s=1, clock_offset_s=0)
        )
        [hook] = hooks.all_(tx)
    return {
        "PLAN": post("/catalogs/mugs/plan", force="a"),
        "HOOK": f"/settings/hooks/{hook.id}",
        "WEBHOOKS": f"/accounts/{account}/webhooks",
    }


def test_the_first_tab_leads_past_the_navigation_and_a_slash_to_the_search(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)

    browser.press("Tab")
    skips = browser.value("document.activeElement.className")
    browser.press("Enter")
    place = browser.value("location.hash")
    browser.press("/")

    assert (skips, place, browser.value("document.activeElement.id")) == ("skip", "#main", "search")
    assert browser.value("document.activeElement.value") == ""


def test_the_list_changes_by_itself_and_keeps_place_and_focus(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(web.url + "/batches")
    browser.value("document.querySelectorAll('.name')[1].focus()")

    client(web, "late").submit(["a lamp"], "c", name="lamps")

    console.wait(browser, "document.querySelector('.name')?.textContent === 'lamps'", "the new batch is shown")
    assert browser.value("document.activeElement.textContent") == "vases"
    assert browser.complaints() == []


def test_a_page_whose_updates_are_paused_asks_for_nothing(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(web.url + "/batches")
    browser.value(COUNT_REQUESTS)
    console.wait(browser, "window.asked > 0", "the page asks while it is not paused")

    browser.click("[data-pause]")
    asked = browser.value("window.asked")
    browser.value("document.dispatchEvent(new Event('visibilitychange'))")

    assert browser.value("window.asked") == asked
    assert browser.value("document.querySelector('[data-pause]').textContent") == "Updates paused"


def test_a_server_that_is_away_is_said_and_the_figures_stay(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(web.url + "/batches")

    browser.offline(is_on=True)
    console.wait(browser, "!document.querySelector('#lost').hidden", "the page says that the server is away")
    names = browser.value("[...document.querySelectorAll('.name')].map((each) => each.textContent)")
    browser.offline(is_on=False)

    console.wait(browser, "document.querySelector('#lost').hidden", "the page goes on by itself")
    assert names == ["chairs", "vases"]


def test_a_dialog_outlives_live_changes_and_what_is_typed_in_it_stays(browser: Browser, web: Web) -> None:
    batch = batch_of(web)
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches/{batch}")
    browser.click("[data-dialog='#cancel']")
    browser.click("#cancel input:not([type=hidden])")
    browser.write("a sale")

    end_jobs(web.context.database, batch, [2])
    browser.value("document.querySelector('#state').dispatchEvent(new CustomEvent('refresh'))")
    console.wait(browser, "!document.querySelector('#state').textContent.includes('1 in our queue')", "a live change")

    assert browser.value("document.querySelector('#cancel').open") is True
    assert browser.value("document.querySelector('#cancel input:not([type=hidden])').value") == "a sale"
    browser.press("Escape")
    assert browser.value("document.querySelector('#cancel').open") is False


def test_a_batch_is_cancelled_by_keyboard_alone(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches/{batch_of(web)}")

    browser.value("document.querySelector(\"[data-dialog='#cancel']\").focus()")
    browser.press("Enter")
    console.wait(browser, "document.activeElement.closest('#cancel') !== null", "the dialog has the focus")
    browser.press("Tab", "Tab", "Enter")
    browser.event("Page.loadEventFired")

    assert "The batch is cancelled" in browser.value("document.querySelector('[role=status].good').textContent")


def test_an_id_is_copied_without_https(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches/{batch_of(web)}")
    browser.value("""
        Object.defineProperty(navigator, 'clipboard', {value: undefined});
        document.addEventListener('copy', () => { window.copied = document.activeElement.value; });""")

    browser.click("[data-copy]")

    console.wait(browser, "document.querySelector('#said').textContent === 'Copied'", "the page says so")
    assert browser.value("window.copied") == batch_of(web)


def test_a_doubt_is_decided_by_keyboard_alone_with_a_reason(browser: Browser, web: Web) -> None:
    doubted(web)
    console.sign_in(browser, web, "finance")
    browser.open(f"{web.url}/in-doubt")

    browser.value("document.querySelector('[data-dialog^=\"#no-\"]').focus()")
    browser.press("Enter")
    console.wait(browser, "document.activeElement.name === 'reason'", "the dialog asks for the reason")
    browser.write("the provider's invoice")
    browser.press("Tab", "Tab", "Enter")
    browser.event("Page.loadEventFired")

    assert "it was not charged" in browser.value("document.querySelector('[role=status].good').textContent")


def test_a_double_click_on_a_form_sends_it_once(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(web.url + "/settings")
    browser.click("[data-dialog='#add-token']")
    browser.value("Object.assign(document.querySelector('#add-token [name=name]'), { value: 'till' })")
    browser.click("#add-token [name=all_owners]")
    browser.click("#add-token [name=right-read]")

    browser.value("[1, 2].forEach(() => document.querySelector('#add-token button.main').click())")
    browser.event("Page.loadEventFired")

    assert "It is not shown again: keep it safe." in browser.value("document.body.innerText")
    assert browser.complaints() == []
