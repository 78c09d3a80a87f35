"""A table fits its terminal, and nothing in it is cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from worker.cli.listing import Column, Listing

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=40)
FIGURES = st.integers(0, 10_000_000).map(lambda n: f"{n:,}")


def printed(listing: Listing, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    console.print(listing)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def batches(*rows: tuple[str, str, str]) -> Listing:
    columns = [
        Column(heading="name"),
        Column(heading="batch", is_whole=True),
        Column(heading="spent", is_number=True),
    ]
    listing = Listing(columns, details=["batch"])
    for row in rows:
        listing.add_row(*row)
    return listing


def test_what_fits_stands_on_one_line() -> None:
    assert printed(batches(("chairs", "01a22298-ba5d", "1,000")), 40) == [
        "name    batch          spent",
        "chairs  01a22298-ba5d  1,000",
    ]


def test_a_detail_moves_below_its_row_for_want_of_room() -> None:
    assert printed(batches(("chairs", "01a22298-ba5d", "1,000")), 20) == [
        "name    spent",
        "chairs  1,000",
        "  batch",
        "  01a22298-ba5d",
    ]


def test_a_long_name_is_folded_before_a_number_is_cut() -> None:
    assert printed(batches(("chairs of the spring", "", "1,000,000")), 25) == [
        "name                spent",
        "chairs of the   1,000,000",
        "spring",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
@given(name=WORDS, batch=WORDS, spent=FIGURES)
def test_every_number_is_whole_and_every_character_is_there(name: str, batch: str, spent: str, width: int) -> None:
    lines = printed(batches((name, batch, spent)), width)

    text = "".join("".join(lines).split())
    assert any(spent in line for line in lines)
    assert sorted(set(name + batch) - set(text)) == []
