"""What people change in the console, in a real browser: by keyboard alone, with the next runs said while typing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.browser import console
from tests.browser.chromium import Browser
from tests.web.api.client import client
from tests.web.console.catalogs.test_schedules import kept, stock
from tests.web.serving import Web, serving
from worker.settings import Settings
from worker.web import server
from worker.web.queries import identity


@pytest.fixture
def web(database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a server with a catalog."""
    settings = Settings.model_validate({}).model_copy(
        update={"database_url": SecretStr(database_url), "home": tmp_path, "store": str(tmp_path / "images")}
    )
    opened = server.context(settings)
    with serving(opened) as found:
        stock(found)
        client(found).submit(["a vase"], "a", name="vases", owner="shop")
        yield found
    opened.database.close()


def said(browser: Browser) -> str:
    return str(browser.value("document.querySelector('[role=status].good').textContent"))


def test_a_schedule_is_made_by_keyboard_alone_with_its_next_runs_said_before(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web, "operator")
    browser.open(f"{web.url}/schedules/new")
    before = browser.value("document.querySelector('#next').textContent")

    browser.value("document.querySelector('[name=name]').focus()")
    browser.write("weekly")
    browser.value("document.querySelector('[name=often]').focus()")
    browser.press("O")
    console.wait(
        browser,
        f"document.querySelector('#next').textContent !== {before!r} "
        "&& [...document.querySelectorAll('#next li')].every((each) => / 1 \\w+ 20/.test(each.textContent))",
        "the next runs are those of the first of each month",
    )
    nothing = kept(web)
    browser.value("document.querySelector('[name=cap]').focus()")
    browser.write("400")
    browser.press("Enter")
    browser.event("Page.loadEventFired")
    browser.value("document.querySelector('form#schedule button.main').focus()")
    browser.press("Enter")
    browser.event("Page.loadEventFired")

    assert nothing == []
    assert said(browser) == "The schedule is saved."
    assert [(each.name, each.cron, each.credit_cap) for each in kept(web)] == [("weekly", "0 2 1 * *", 400)]
    assert browser.complaints() == []


DIALOGS = {
    "/settings": ["#add-user", "#add-token", "#add-hook"],
    "/accounts": ["[id^=limit-]", "[id^=pause-]"],
    "/money": ["#cap", "#close", "#correct"],
    "/operations": ["#decide", "#new"],
    "/catalogs": ["#new", "[id^=remove-]"],
}


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_no_dialog_has_a_barrier_or_is_wider_than_its_screen(browser: Browser, web: Web, kind: str) -> None:
    console.look(browser, is_dark=kind == "dark", is_phone=kind == "phone")
    console.sign_in(browser, web)
    found: dict[str, object] = {}

    for path, dialogs in DIALOGS.items():
        browser.open(web.url + path)
        for dialog in dialogs:
            browser.value(f"document.querySelector('dialog{dialog}').showModal()")
            barriers, complaints = console.barriers(browser), browser.complaints()
            is_within = browser.value(f"document.querySelector('dialog{dialog}').scrollWidth <= innerWidth")
            found[f"{path} {dialog}"] = (barriers, complaints, is_within)
            browser.value(f"document.querySelector('dialog{dialog}').close()")

    assert found == {f"{path} {each}": ([], [], True) for path, dialogs in DIALOGS.items() for each in dialogs}


def test_a_token_is_made_in_a_dialog_and_its_secret_is_shown(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(f"{web.url}/settings")

    browser.value("document.querySelector(\"[data-dialog='#add-token']\").focus()")
    browser.press("Enter")
    console.wait(browser, "document.activeElement.name === 'name'", "the dialog asks for the name")
    browser.write("sorter")
    browser.value("document.querySelector('#add-token [name=right-read]').click()")
    browser.value("document.querySelector('#add-token [name=all_owners]').click()")
    browser.value("document.querySelector('#add-token button.main').focus()")
    browser.press("Enter")
    browser.event("Page.loadEventFired")
    console.wait(browser, "document.querySelector('#secret-value') !== null", "the secret is shown")

    secret = browser.value("document.querySelector('#secret-value').textContent")
    with web.context.database.transaction() as tx:
        tokens = {each.name: each.rights for each in identity.tokens(tx)}
    assert secret.startswith("dkr_")
    assert tokens["sorter"] == ["read"]
    assert console.barriers(browser) == []
    assert browser.complaints() == []


def test_a_catalog_is_imported_from_a_file_that_is_chosen(browser: Browser, web: Web, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("sku,colour\ngrey,grey\nred,red\nblue,blue\n")
    console.sign_in(browser, web, "operator")
    browser.open(f"{web.url}/catalogs/mugs/import")

    node = browser.call("DOM.getDocument")["root"]["nodeId"]
    field = browser.call("DOM.querySelector", nodeId=node, selector="[name=manifest]")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=field, files=[str(file)])
    browser.value("document.querySelector('main button.main').focus()")
    browser.press("Enter")
    browser.event("Page.loadEventFired")

    assert "3 items. Nothing was spent" in said(browser)
    assert "Added1grey" in browser.value("document.querySelector('.facts').textContent").replace("\n", "")
    assert console.barriers(browser) == []
