from datetime import UTC, datetime

import pytest

from worker.batches.rules.bulk_operation import Selection, like
from worker.core.rules.batch_request import Purpose


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("spring", "spring"),
        ("spring*", "spring%"),
        ("spring-?", "spring-_"),
        ("100%_off", "100\\%\\_off"),
        ("a\\b*", "a\\\\b%"),
        ("*", "%"),
    ],
)
def test_only_star_and_question_mark_stand_for_other_characters(pattern: str, expected: str) -> None:
    assert like(pattern) == expected


def test_a_selection_that_asks_nothing_is_empty() -> None:
    assert Selection().is_empty
    assert not Selection(purpose=Purpose.BULK).is_empty


def test_a_selection_is_kept_as_what_it_asks_and_an_empty_one_as_all() -> None:
    asked = Selection(owner="mia", since=datetime(2026, 11, 30, tzinfo=UTC))

    assert asked.as_json() == {"owner": "mia", "since": "2026-11-30T00:00:00+00:00"}
    assert Selection().as_json() == {"all": True}
