"""The contact sheet in a real browser, from files and without a server: its pages, its filter, its search."""

import io
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.chromium import Browser
from worker.contact_sheet import Card, Header, write_sheet
from worker.core.rules.states import JobState

AT = datetime(2026, 11, 22, tzinfo=UTC)
SHOWN = "Array.from(document.querySelectorAll('.card'), (e) => e).filter((e) => e.checkVisibility())"
KEYS = f"{SHOWN}.map((e) => e.querySelector('h2 span').textContent)"
FETCHED = "performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith('data:'))"


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def card(line: int) -> Card:
    """Return one card; every third failed."""
    state = JobState.SUCCEEDED if line % 3 else JobState.FAILED
    image = partial(bytes, picture()) if line % 3 else None
    prompt = f"A {'red' if line % 2 else 'blue'} shoe"
    return Card(line=line, key=f"shoe-{line}", prompt=prompt, state=state, image=image)


@pytest.fixture
def sheet(tmp_path: Path, browser: Browser) -> Browser:
    """Return a browser that shows the first of three pages of four cards."""
    counts = {JobState.SUCCEEDED: 8, JobState.FAILED: 4}
    header = Header(
        batch_id="b",
        name="Shoes",
        owner="o",
        submitted_at=AT,
        made_at=AT,
        counts=counts,
        cap=None,
        held=0,
        reserved=0,
        spent=32,
    )
    write_sheet(tmp_path / "my sheet.html", header, map(card, range(1, 13)), per_page=4)
    browser.open((tmp_path / "my sheet.html").as_uri())
    return browser


def go(sheet: Browser, link: str) -> None:
    """Follow a link of the page, and wait until the next one is loaded."""
    sheet.click(link)
    sheet.event("Page.loadEventFired")


def test_the_pages_lead_to_each_other(sheet: Browser) -> None:
    first = sheet.value(KEYS)
    go(sheet, ".pages a[rel=next]")
    second = sheet.value(KEYS)
    go(sheet, ".pages a[rel=next]")
    third = sheet.value(KEYS)
    go(sheet, ".pages a")

    assert [*first, *second, *third] == [f"shoe-{line}" for line in range(1, 13)]
    assert sheet.value(KEYS) == first


def test_a_filter_shows_the_cards_of_one_state(sheet: Browser) -> None:
    sheet.click("label[for=show-failed]")

    assert sheet.value(KEYS) == ["shoe-3"]


def test_a_filter_and_a_search_go_along_to_the_next_page(sheet: Browser) -> None:
    sheet.click("label[for=show-succeeded]")
    sheet.press("/")
    sheet.write("blue")

    go(sheet, ".pages a[rel=next]")

    assert sheet.value(KEYS) == ["shoe-8"]


def test_a_search_that_finds_nothing_on_the_page_says_so(sheet: Browser) -> None:
    sheet.press("/")
    sheet.write("shoe-12")

    assert sheet.value("document.getElementById('none').checkVisibility()") is True
    assert sheet.value("document.getElementById('none').textContent") == "Nothing matches on this page."


def test_a_page_asks_for_nothing_and_keeps_its_own_policy(sheet: Browser) -> None:
    go(sheet, ".pages a[rel=next]")

    assert sheet.complaints() == []
    assert sheet.value(FETCHED) == []
