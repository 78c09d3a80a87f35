"""The review sheet in a real browser, from a file and without a server: keys, buttons, counts, and the saved file."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.chromium import Browser
from worker.domain.decisions import Verdict, read
from worker.sheet import ReviewCard, ReviewHeader, write_review

CATALOG = "Winter <mugs> & co"
AT = datetime(2026, 11, 22, tzinfo=UTC)
RENDERS = [f"01900000-0000-7000-8000-00000000000{number}" for number in range(4)]
HOSTILE = "A mug</textarea><script>document.title = 'owned'</script> <b>on</b> \"oak\" & 'ash'"
PROMPTS = ["A red mug on oak", "A blue mug on oak", HOSTILE, "A green mug"]
COUNTS = "['decided', 'accepted', 'rejected'].map((id) => document.getElementById(id).textContent).join(' ')"
CURRENT = "document.querySelector('.current')?.dataset.sku"


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "PNG")
    return buffer.getvalue()


def card(number: int) -> ReviewCard:
    """Give one card; every second item has a live image already."""
    has_live = number % 2 == 1
    return ReviewCard(
        sku=f"sku-{number}",
        render_id=RENDERS[number],
        prompt=PROMPTS[number],
        reasons=["prompt changed" if has_live else "new"],
        width=64,
        height=48,
        new=picture("red"),
        new_href=None,
        old=picture("blue") if has_live else None,
        old_prompt="A blue mug on pine" if has_live else None,
    )


@pytest.fixture
def sheet(tmp_path: Path, browser: Browser) -> Browser:
    """Give a browser that shows a sheet of four images."""
    header = ReviewHeader(catalog=CATALOG, sheet_id=tmp_path.name, made_at=AT, count=4, price=4)
    write_review(tmp_path / "sheet.html", header, (card(number) for number in range(4)))
    browser.open((tmp_path / "sheet.html").as_uri())
    return browser


def saved(browser: Browser) -> Any:
    """Save, and return the document that was downloaded."""
    browser.press("s")
    return json.loads(browser.downloaded().read_text(encoding="utf-8"))


def test_nothing_is_decided_at_first_and_nothing_can_be_saved(sheet: Browser) -> None:
    assert sheet.value(COUNTS) == "0 0 0"
    assert sheet.value("document.getElementById('save').disabled") is True
    assert sheet.value(CURRENT) == "sku-0"


def test_keys_decide_and_go_on(sheet: Browser) -> None:
    sheet.press("a", "r", "j", "k", "a")

    assert sheet.value(COUNTS) == "3 2 1"
    assert sheet.value(CURRENT) == "sku-3"


def test_a_decision_can_be_changed_and_taken_back(sheet: Browser) -> None:
    sheet.press("a", "k", "r", "k", "u")

    assert sheet.value(COUNTS) == "0 0 0"


def test_the_saved_file_is_what_was_decided_and_darkroom_reads_it(sheet: Browser) -> None:
    sheet.press("a", "r")
    sheet.press("s")
    file = sheet.downloaded()

    found = read(file.read_bytes(), catalog=CATALOG)

    assert file.name == "decisions-Winter-mugs-co.json"
    assert [(each.sku, str(each.render_id), each.verdict, each.prompt) for each in found] == [
        ("sku-0", RENDERS[0], Verdict.ACCEPT, None),
        ("sku-1", RENDERS[1], Verdict.REJECT, None),
    ]


def test_buttons_do_what_the_keys_do(sheet: Browser) -> None:
    sheet.click("[data-sku=sku-1] .accept")
    sheet.click("[data-sku=sku-2] .reject")
    sheet.click("#save")

    document = json.loads(sheet.downloaded().read_text())
    assert [(each["sku"], each["decision"]) for each in document["decisions"]] == [
        ("sku-1", "accept"),
        ("sku-2", "reject"),
    ]


def test_an_edited_prompt_is_saved_with_the_rejection_and_keys_typed_into_it_decide_nothing(sheet: Browser) -> None:
    sheet.press("e")
    sheet.write(", a spoon")
    sheet.press("a", "r", "s", "Escape", "j", "r")

    decisions = saved(sheet)["decisions"]

    assert [each.get("prompt") for each in decisions] == ["A red mug on oak, a spoonars", None]
    assert {each["decision"] for each in decisions} == {"reject"}


def test_a_prompt_is_shown_and_given_back_to_the_letter_and_never_run(sheet: Browser) -> None:
    sheet.press("j", "j", "e")
    sheet.write("!")
    sheet.press("Escape")

    prompt = saved(sheet)["decisions"][0]["prompt"]

    assert prompt == HOSTILE + "!"
    assert sheet.value("document.title") == f"{CATALOG} · review"


def test_an_accepted_image_takes_no_prompt_along(sheet: Browser) -> None:
    sheet.press("e")
    sheet.write("!")
    sheet.press("Escape", "a")

    assert saved(sheet)["decisions"] == [{"sku": "sku-0", "render": RENDERS[0], "decision": "accept"}]


def test_a_filter_shows_only_what_is_undecided_and_keys_stay_within_it(sheet: Browser) -> None:
    sheet.press("a")

    sheet.value("document.getElementById('show').value = 'open'")
    sheet.value("document.getElementById('show').dispatchEvent(new Event('change'))")
    sheet.press("k", "k", "k")

    assert sheet.value("document.querySelectorAll('.card:not([hidden])').length") == 3
    assert sheet.value(CURRENT) == "sku-1"


def test_a_search_finds_words_of_the_prompt(sheet: Browser) -> None:
    sheet.press("/")
    sheet.write("green")

    assert sheet.value("Array.from(document.querySelectorAll('.card:not([hidden])'), (e) => e.dataset.sku)") == [
        "sku-3"
    ]


def test_an_image_can_be_seen_large_beside_the_live_one(sheet: Browser) -> None:
    sheet.press("j", "z")

    assert sheet.value("document.querySelectorAll('dialog[open] img').length") == 2
    sheet.press("Escape")
    assert sheet.value("document.querySelectorAll('dialog[open] img').length") == 0


def test_the_words_that_differ_are_marked(sheet: Browser) -> None:
    shown = (
        "Array.from(document.querySelectorAll('[data-sku=sku-1] :is(ins, del)'), (e) => e.localName + e.textContent)"
    )

    assert sheet.value(shown) == ["delpine", "insoak"]


def test_decisions_outlive_the_page(sheet: Browser, tmp_path: Path) -> None:
    sheet.press("a", "r")
    saved(sheet)

    sheet.open((tmp_path / "sheet.html").as_uri())

    assert sheet.value(COUNTS) == "2 1 1"


def test_the_page_asks_for_nothing_and_keeps_its_own_policy(sheet: Browser) -> None:
    sheet.press("a", "e", "Escape", "z", "Escape")
    saved(sheet)

    fetched = sheet.value(
        "performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith('data:'))"
    )

    assert sheet.complaints() == []
    assert fetched == []
