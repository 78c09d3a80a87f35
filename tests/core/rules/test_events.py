"""Events: their ids, what is merged, and which thresholds of a budget a change reaches."""

from uuid import UUID

import pytest

from worker.core.rules import events
from worker.core.rules.events import SUBSCRIBABLE, EventType

ID = UUID("01990a3c-5d0e-7c31-9f3e-0a4e6a4f2b11")


def test_an_event_is_known_by_a_public_id_and_found_by_it_or_by_its_own() -> None:
    public = events.public_id(ID)

    assert public == "evt_01990a3c5d0e7c319f3e0a4e6a4f2b11"
    assert events.internal_id(public) == events.internal_id(str(ID)) == ID


def test_a_type_is_its_name_and_has_a_meaning_an_example_and_a_version() -> None:
    assert [str(each) for each in SUBSCRIBABLE] == [
        "batch.done", "batch.held_up", "account.paused", "account.resumed", "job.in_doubt", "image.live", "budget.80",
        "budget.100",
    ]  # fmt: skip
    assert all(each.meaning and each.example and each.version == 1 for each in EventType)


def test_doubts_of_a_batch_are_added_up_and_a_bounded_number_is_listed() -> None:
    batch = events.batch_named(ID, "chairs", "mia")
    doubts = [{"batch": batch, "jobs": 2, "credits": 8, "first": [n, n]} for n in range(events.MOST_EXAMPLES)]

    found = events.merged(doubts)

    assert (found["batch"], found["jobs"], found["credits"]) == (batch, 40, 160)
    assert len(found["first"]) == events.MOST_EXAMPLES


@pytest.mark.parametrize(
    ("before", "after", "reached"),
    [
        (0, 76, []),
        (76, 80, ["budget.80"]),
        (80, 84, []),
        (0, 100, ["budget.80", "budget.100"]),
        (92, 96, []),
        (93, 97, ["budget.100"]),
    ],
)
def test_a_threshold_is_reached_by_going_over_it_and_the_last_when_no_job_can_be_paid(
    before: int, after: int, reached: list[str]
) -> None:
    assert list(events.crossed(before=before, after=after, cap=100, price=4)) == reached
