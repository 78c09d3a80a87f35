"""The review sheet in a real browser, from a file and without a server: keys, buttons, counts, and the saved file."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.chromium import Browser
from worker.catalog.rules.decisions import Verdict, read
from worker.contact_sheet import ReviewCard, ReviewHeader, write_review

CATALOG = "Winter <mugs> & co"
FILE = "decisions-Winter-mugs-co-20261122-000000.json"
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


def card(number: int, *, lost: int | None = None, stale: int | None = None) -> ReviewCard:
    """Return one card; every second item has a live image already."""
    has_live = number % 2 == 1
    return ReviewCard(
        sku=f"sku-{number}",
        render_id=RENDERS[number],
        prompt=PROMPTS[number],
        reasons=["prompt changed" if has_live else "new"],
        width=64,
        height=48,
        new=None if number == lost else picture("red"),
        new_href=None,
        is_stale=number == stale,
        old=picture("blue") if has_live else None,
        old_prompt="A blue mug on pine" if has_live else None,
    )


@pytest.fixture
def sheet(tmp_path: Path, browser: Browser) -> Browser:
    """Return a browser that shows a sheet of four images."""
    write_review(tmp_path / "sheet.html", header(tmp_path), (card(number) for number in range(4)))
    browser.open((tmp_path / "sheet.html").as_uri())
    return browser


@pytest.fixture
def hindered(tmp_path: Path, browser: Browser) -> Browser:
    """Return a browser that shows a lost image, one whose item has changed since, and two good ones."""
    write_review(tmp_path / "sheet.html", header(tmp_path), (card(number, lost=0, stale=1) for number in range(4)))
    browser.open((tmp_path / "sheet.html").as_uri())
    return browser


def header(folder: Path) -> ReviewHeader:
    return ReviewHeader(
        catalog=CATALOG, sheet_id=folder.name, made_at=AT, count=4, price=4, reason_max=1_000, decisions_file=FILE
    )


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


def test_undo_takes_back_one_decision_after_the_other(sheet: Browser) -> None:
    sheet.press("a", "k", "r")
    changed = sheet.value(COUNTS)
    sheet.press("u")
    before = (sheet.value(COUNTS), sheet.value(CURRENT))
    sheet.press("u", "u")

    assert (changed, before, sheet.value(COUNTS)) == ("1 0 1", ("1 1 0", "sku-0"), "0 0 0")


def test_accepting_the_rest_takes_only_the_cards_that_are_shown(sheet: Browser) -> None:
    sheet.value("window.confirm = () => true")
    sheet.press("/")
    sheet.write("blue")
    sheet.press("Escape")

    sheet.click("#rest")

    decided = [each["sku"] for each in saved(sheet)["decisions"]]
    assert decided == ["sku-1"]


def test_accepting_the_rest_can_be_undone_at_once(sheet: Browser) -> None:
    sheet.value("window.confirm = () => true")
    sheet.click("#rest")
    accepted = sheet.value(COUNTS)

    sheet.press("u")

    assert (accepted, sheet.value(COUNTS)) == ("4 4 0", "0 0 0")


def test_an_image_that_is_lost_or_out_of_date_cannot_be_accepted_and_says_why(hindered: Browser) -> None:
    hindered.value("window.confirm = () => true")
    hindered.press("a", "j", "a")
    by_key = hindered.value(COUNTS)

    hindered.click("#rest")

    reasons = hindered.value("Array.from(document.querySelectorAll('.hindrance'), (e) => e.textContent)")
    assert (by_key, hindered.value(COUNTS)) == ("0 0 0", "2 2 0")
    assert [each["sku"] for each in saved(hindered)["decisions"]] == ["sku-2", "sku-3"]
    assert ["lost" in reasons[0], "changed" in reasons[1]] == [True, True]


def test_a_browser_that_keeps_nothing_says_so(sheet: Browser) -> None:
    sheet.value("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    before = sheet.value("document.getElementById('unkept').hidden")

    sheet.press("a")

    assert (before, sheet.value("document.getElementById('unkept').hidden")) == (True, False)


def test_the_saved_file_is_what_was_decided_and_darkroom_reads_it(sheet: Browser) -> None:
    sheet.press("a", "r")
    sheet.press("s")
    file = sheet.downloaded()

    found = read(file.read_bytes(), catalog=CATALOG)

    assert file.name == FILE
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


def test_a_reason_is_saved_with_the_rejection_and_keys_typed_into_it_decide_nothing(sheet: Browser) -> None:
    sheet.press("w")
    sheet.write(' <b>bars</b> &  a "shadow"')
    sheet.press("a", "Escape", "j", "r")
    sheet.press("s")

    found = read(sheet.downloaded().read_bytes(), catalog=CATALOG)

    assert [each.reason for each in found] == ['<b>bars</b> & a "shadow"a', None]
    assert {each.verdict for each in found} == {Verdict.REJECT}
    assert all(each.said_at is not None for each in found)


def test_a_reason_is_remembered_with_its_decision(sheet: Browser, tmp_path: Path) -> None:
    sheet.press("w")
    sheet.write("too dark")
    sheet.press("Escape")
    saved(sheet)

    sheet.open((tmp_path / "sheet.html").as_uri())

    assert saved(sheet)["decisions"][0]["reason"] == "too dark"


def test_an_accepted_image_takes_no_reason_along(sheet: Browser) -> None:
    sheet.press("w")
    sheet.write("too dark")
    sheet.press("Escape", "a")

    assert "reason" not in saved(sheet)["decisions"][0]


def test_why_an_earlier_image_was_rejected_is_shown_to_the_letter(browser: Browser, tmp_path: Path) -> None:
    write_review(tmp_path / "sheet.html", header(tmp_path), [replace(card(0), rejected_before=[HOSTILE])])
    browser.open((tmp_path / "sheet.html").as_uri())

    assert browser.value("document.querySelector('.before').textContent") == f"rejected before: {HOSTILE}"
    assert browser.value("document.title") == f"{CATALOG} · review"


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
