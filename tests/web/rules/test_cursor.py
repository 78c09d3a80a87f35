"""Cursors hold what they were made from, and anything else is refused."""

import pytest

from worker.core.rules.fault import UnfitError
from worker.web.rules import cursor


@pytest.mark.parametrize("parts", [("17",), ("2026-11-28T10:00:00+00:00", "0195-a"), ("", "ü")])
def test_a_cursor_gives_back_its_parts(parts: tuple[str, ...]) -> None:
    assert cursor.decode(cursor.encode(*parts), parts=len(parts)) == list(parts)


@pytest.mark.parametrize("text", ["", "*", "Zg", "_w", "ü", cursor.encode("a", "b", "c")])
def test_what_is_no_cursor_of_so_many_parts_is_refused(text: str) -> None:
    with pytest.raises(UnfitError, match="is not a cursor"):
        cursor.decode(text, parts=2)
