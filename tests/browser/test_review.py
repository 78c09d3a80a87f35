"""The review in a real browser, by keyboard alone: thirty images, two reviewers at once, and what changes meanwhile."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.browser import chromium, console
from tests.browser.chromium import Browser
from tests.catalog.team import Team, accept
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, node, node_for
from tests.pipeline.conftest import process as provider
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.serving import Web

__all__ = ["clock", "folder", "node", "node_for", "provider"]

PATH = "/catalogs/mugs/review"
IMAGE = "document.querySelector('.stage').dataset.image ?? ''"
SKU = "document.querySelector('.stage h2')?.textContent ?? ''"
TALLY = "[...document.querySelectorAll('#tally .count')].map((each) => each.textContent).join(' ')"
FOCUS = "document.activeElement.id"
_accounts = count()


@pytest.fixture
def sandbox(provider: Provider) -> Provider:
    """Return a fresh account; the fixture of this name elsewhere needs one that is the browser's here."""
    provider.reset()
    return provider.sibling(f"acct_review_{next(_accounts)}")


@pytest.fixture
def images() -> int:
    return 3


@pytest.fixture
def team(node: Node, images: int) -> Team:
    """Return a team with images that wait; the first two items show one already."""
    return catalog.waiting(node, images, live=2)


@pytest.fixture
def web(team: Team, database_url: str, tmp_path: Path) -> Iterator[Web]:
    with catalog.shown(team.node, database_url, tmp_path) as found:
        yield found


def begin(browser: Browser, web: Web, *roles: str, show: str = "undecided") -> None:
    """Sign a reviewer in and open the review."""
    console.sign_in(browser, web, *roles)
    browser.open(f"{web.url}{PATH}?show={show}")


def decide(browser: Browser, key: str) -> str:
    """Press a key that decides, wait for the next image, and return which one was decided."""
    before = str(browser.value(SKU))
    browser.press(key)
    console.wait(browser, f"({SKU}) !== '{before}'", f"the image after {before}")
    return before


def tab_to(browser: Browser, selector: str) -> None:
    """Press Tab until the focus is on such an element."""
    for _ in range(40):
        if browser.value(f"document.activeElement.matches('{selector}')"):
            return
        browser.press("Tab")
    raise AssertionError(f"no Tab leads to {selector}")


@pytest.mark.parametrize("images", [30])
def test_thirty_images_are_reviewed_and_published_by_keyboard_alone(browser: Browser, web: Web, team: Team) -> None:
    console.sign_in(browser, web, "reviewer")
    browser.open(web.url + "/catalogs")
    tab_to(browser, ".actions a.button")
    browser.press("Enter")
    browser.event("Page.loadEventFired")

    reviewed = [decide(browser, "x" if number % 5 == 0 else "p") for number in range(30)]
    browser.press("3")
    console.wait(browser, f"({SKU}) === 'mug-01'", "the first rejected image")
    taken_back = decide(browser, "p")
    tally = browser.value(TALLY)
    tab_to(browser, '[data-dialog="#apply"]')
    browser.press("Enter")
    console.wait(browser, "document.querySelector('#apply').open", "the question")
    tab_to(browser, "#apply button.main")
    browser.press("Enter")
    browser.event("Page.loadEventFired")

    assert len(set(reviewed)) == 30
    assert (taken_back, tally) == ("mug-01", "0 25 5 30")
    assert "25 images went live, 5 images were rejected." in browser.value("document.body.innerText")
    prompts = team.live()
    assert sum("oak" in prompt for prompt in prompts.values()) == 25
    assert browser.complaints() == []


@pytest.mark.parametrize("images", [8])
def test_two_reviewers_at_once_get_different_images(browser: Browser, web: Web, team: Team, tmp_path: Path) -> None:
    path = chromium.found()
    assert path is not None
    with chromium.running(path, tmp_path / "second") as process, process.page(tmp_path) as second:
        begin(browser, web, "reviewer")
        begin(second, web, "admin")
        decided = [decide(one, "p") for _ in range(3) for one in (browser, second)]
        last = [str(one.value(SKU)) for one in (browser, second)]
        browser.press("p")
        console.wait(browser, "document.querySelector('.empty') !== null", "nothing is left for the first reviewer")
        said = browser.value("document.querySelector('.empty').innerText")
        second.press("p")
        console.wait(second, "document.querySelector('.empty') !== null", "nothing is left")

    assert sorted([*decided, *last]) == [f"mug-{number:02}" for number in range(1, 9)]
    assert "The rest is with web:admin" in said
    rows = team.node.query("SELECT actor, count(*)::int AS n FROM catalog_decision GROUP BY actor ORDER BY actor")
    assert [(row["actor"], row["n"]) for row in rows] == [("web:admin", 4), ("web:reviewer", 4)]


def test_an_image_that_was_decided_meanwhile_is_said_with_who_and_nothing_goes_on(
    browser: Browser, web: Web, team: Team
) -> None:
    begin(browser, web)
    team.decide(*accept([team.candidates()["mug-01"]]), by="carl")

    browser.press("x")

    console.wait(browser, "document.querySelector('.stage [role=alert]') !== null", "the page says what happened")
    assert "carl made it live meanwhile" in browser.value("document.querySelector('.stage [role=alert]').innerText")
    assert team.node.query("SELECT 1 FROM catalog_decision") == []


def test_undo_leads_back_to_the_image(browser: Browser, web: Web) -> None:
    begin(browser, web)
    decide(browser, "p")
    decide(browser, "x")

    undone = []
    for sku in ("mug-02", "mug-01"):
        browser.press("u")
        console.wait(browser, f"({SKU}) === '{sku}'", "the image that was undone")
        undone.append(browser.value(TALLY))

    assert undone == ["2 1 0 3", "3 0 0 3"]


def test_a_reason_and_a_prompt_are_written_without_the_keys_deciding(browser: Browser, web: Web, team: Team) -> None:
    begin(browser, web)

    browser.press("e")
    console.wait(browser, f"{FOCUS} === 'reason'", "the reason can be written")
    browser.write("pale, expensive")
    browser.press("p", "x", "Tab")
    browser.value("document.activeElement.select()")
    browser.write("A vivid mug")
    browser.press("Tab", "Enter")
    console.wait(browser, f"({SKU}) === 'mug-02'", "the next image")

    rows = team.node.query("SELECT verdict, reason, prompt FROM catalog_decision")
    assert rows == [{"verdict": "reject", "reason": "pale, expensivepx", "prompt": "A vivid mug"}]


def test_the_live_image_is_in_the_place_of_the_new_one_while_space_is_held(browser: Browser, web: Web) -> None:
    begin(browser, web)
    seen = "getComputedStyle(document.querySelector('.under')).visibility"

    browser.call("Input.dispatchKeyEvent", type="keyDown", key=" ", text=" ")
    held = browser.value(seen)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=" ")

    assert (held, browser.value(seen)) == ("visible", "hidden")


def test_a_slider_compares_both_and_stays_over_images(browser: Browser, web: Web) -> None:
    begin(browser, web)
    browser.press("c")
    tab_to(browser, "#cut")

    browser.press("ArrowRight")
    there = browser.value("document.querySelector('.new').style.getPropertyValue('--cut')")
    decide(browser, "p")

    assert there == "51%"
    assert browser.value("document.querySelector('.new').style.getPropertyValue('--cut')") == "51%"
    assert browser.value(FOCUS) == "cut"


def test_arrows_go_through_all_images_and_a_reload_keeps_the_place(browser: Browser, web: Web) -> None:
    begin(browser, web, show="all")

    browser.press("ArrowRight")
    console.wait(browser, f"({SKU}) === 'mug-02'", "the next image")
    browser.press("ArrowRight")
    console.wait(browser, f"({SKU}) === 'mug-03'", "the last image")
    browser.press("ArrowRight", "ArrowLeft")
    console.wait(browser, f"({SKU}) === 'mug-02'", "the image before")
    browser.call("Page.reload")
    browser.event("Page.loadEventFired")

    assert browser.value(SKU) == "mug-02"
    assert browser.value("document.querySelector('[aria-current=page][id]').id") == "tab-all"


def test_figures_change_by_themselves_and_keep_place_and_focus(browser: Browser, web: Web, team: Team) -> None:
    begin(browser, web)
    tab_to(browser, "#tab-rejected")

    team.decide(*accept([team.candidates()["mug-03"]]), by="carl")

    console.wait(browser, f"({TALLY}) === '2 0 0 2'", "the figures without the image that went live")
    assert (browser.value(FOCUS), browser.value(SKU)) == ("tab-rejected", "mug-01")


def test_keys_of_one_letter_can_be_turned_off(browser: Browser, web: Web, team: Team) -> None:
    begin(browser, web)
    browser.click('[data-dialog="#keys"]')
    browser.click("#keys-on")
    browser.click("#keys [data-close]")

    browser.press("x")
    tab_to(browser, "#accept")
    browser.press("Enter")
    console.wait(browser, f"({SKU}) === 'mug-02'", "the next image")

    assert team.node.query("SELECT verdict FROM catalog_decision") == [{"verdict": "accept"}]


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_no_page_of_the_review_has_a_barrier_or_is_wider_than_its_screen(
    browser: Browser, web: Web, team: Team, kind: str
) -> None:
    console.look(browser, is_dark=kind == "dark", is_phone=kind == "phone")
    console.sign_in(browser, web)
    found: dict[str, object] = {}

    for path in ("/catalogs", f"/plans/{team.plan().id}", PATH, f"{PATH}?show=all", f"{PATH}?show=rejected"):
        browser.open(web.url + path)
        browser.press("c", "e", "Escape")
        too_wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        found[path] = (console.barriers(browser), browser.complaints(), max(0, too_wide))

    assert set(map(str, found.values())) == {"([], [], 0)"}
