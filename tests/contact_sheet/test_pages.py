"""A sheet of many cards is a few files that lead to each other, written together or not at all."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contact_sheet.test_sheet import HEADER, card
from worker.contact_sheet import Card, write_sheet
from worker.contact_sheet.page import pages_of
from worker.core.rules.states import JobState

HREF = re.compile(r'<a href="([^"]+)"')


def written(folder: Path, cards: int, *, per_page: int = 2, name: str = "sheet.html") -> list[str]:
    """Write a sheet of so many cards; give the names of its files."""
    header = replace(HEADER, counts={JobState.SUCCEEDED: cards})
    made = write_sheet(folder / name, header, _cards(cards), per_page=per_page)
    return [path.name for path in made]


def _cards(count: int) -> Iterator[Card]:
    return (card(line=line, key=f"shoe-{line}") for line in range(1, count + 1))


def keys(path: Path) -> list[str]:
    return re.findall(r"<span>(shoe-\d+)</span>", path.read_text(encoding="utf-8"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("cards", [0, 1, 2])
def test_what_fits_a_page_is_one_file_without_links(tmp_path: Path, cards: int) -> None:
    assert written(tmp_path, cards) == names(tmp_path) == ["sheet.html"]
    assert "Pages" not in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_each_card_is_on_one_page_in_its_order(tmp_path: Path) -> None:
    made = written(tmp_path, 5)

    assert made == ["sheet.html", "sheet-2.html", "sheet-3.html"]
    assert [keys(tmp_path / name) for name in made] == [["shoe-1", "shoe-2"], ["shoe-3", "shoe-4"], ["shoe-5"]]


def test_a_page_links_to_its_neighbours_the_first_and_the_last(tmp_path: Path) -> None:
    written(tmp_path, 20, name="my sheet.html")

    links = HREF.findall((tmp_path / "my sheet-5.html").read_text(encoding="utf-8"))

    numbers = [3, 4, 6, 7, 10, 6, 10]
    others = [f"my%20sheet-{number}.html" for number in numbers]
    assert links == 2 * ["my%20sheet.html", "my%20sheet-4.html", "my%20sheet.html", *others]


@pytest.mark.parametrize(
    ("number", "last", "linked"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (1, 9, [1, 2, 3, None, 9]),
        (5, 9, [1, None, 3, 4, 5, 6, 7, None, 9]),
        (9, 9, [1, None, 7, 8, 9]),
    ],
)
def test_few_numbers_are_shown_however_many_pages_there_are(number: int, last: int, linked: list[int | None]) -> None:
    found = pages_of(Path("sheet.html"), cards=last, per_page=1)

    assert found[number - 1].linked == linked


def test_a_page_counts_its_own_cards_and_the_header_all(tmp_path: Path) -> None:
    written(tmp_path, 5)

    last = (tmp_path / "sheet-3.html").read_text(encoding="utf-8")

    assert "<dt>jobs</dt><dd>5</dd>" in last
    assert 'for="show-succeeded" class="succeeded">succeeded <span>1</span>' in last


def test_pages_of_a_longer_sheet_of_before_are_gone_and_nothing_else_is(tmp_path: Path) -> None:
    written(tmp_path, 9)
    (tmp_path / "sheet-6.html").write_text("another file")

    written(tmp_path, 3)

    assert names(tmp_path) == ["sheet-2.html", "sheet-6.html", "sheet.html"]


def test_a_sheet_takes_the_place_of_nothing_that_is_not_its_page(tmp_path: Path) -> None:
    written(tmp_path, 1, name="sheet-2.html")

    with pytest.raises(FileExistsError, match=r"sheet-2\.html is there and is no page of this sheet"):
        written(tmp_path, 5)

    assert names(tmp_path) == ["sheet-2.html"]


def test_a_sheet_that_breaks_off_leaves_every_page_of_before(tmp_path: Path) -> None:
    written(tmp_path, 5)
    before = [path.read_text() for path in sorted(tmp_path.iterdir())]
    header = replace(HEADER, counts={JobState.SUCCEEDED: 9})

    with pytest.raises(LookupError, match="gone"):
        write_sheet(tmp_path / "sheet.html", header, _broken(), per_page=2)

    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == before


def _broken() -> Iterator[Card]:
    yield from _cards(7)
    raise LookupError("gone")
