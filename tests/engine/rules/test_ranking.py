from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from worker.core.rules.batch_request import Priority
from worker.core.rules.states import StepKind
from worker.engine.rules.polling import Histogram
from worker.engine.rules.ranking import Due, ranked

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BULK = Priority.BULK
TWENTY_SECONDS = Histogram().observe(18 * SECOND, 22 * SECOND)
KNOWN = Histogram(counts=tuple(count * 100 for count in TWENTY_SECONDS.counts))


def due(
    number: int,
    kind: StepKind = StepKind.POLL,
    *,
    late_s: float = 0,
    age_s: float = 20,
    looked_s: float | None = None,
    model: str = "known",
    priority: Priority = BULK,
) -> Due:
    """Return a step of a job; ``looked_s`` is the age at the last look."""
    since = NOW - age_s * SECOND
    return Due(
        job_id=UUID(int=number),
        kind=kind,
        priority=priority,
        due_at=NOW - late_s * SECOND,
        since=since,
        looked_at=None if looked_s is None else since + looked_s * SECOND,
        model=model,
        has_reference=False,
    )


def order(*steps: Due) -> list[int]:
    """Return the numbers of the jobs of the bulk class in the order in which they are served."""
    found = ranked(steps, lambda model, _: KNOWN if model == "known" else Histogram(), now=NOW)
    return [job_id.int for job_id in found[BULK]]


@pytest.mark.parametrize("kind", [StepKind.UPLOAD, StepKind.SUBMIT, StepKind.COLLECT])
def test_what_surely_brings_an_image_forward_comes_before_a_poll(kind: StepKind) -> None:
    assert order(due(1, late_s=60, age_s=60), due(2, kind, late_s=1)) == [2, 1]


def test_of_those_the_one_that_is_due_longest_comes_first() -> None:
    assert order(due(1, StepKind.SUBMIT, late_s=1), due(2, StepKind.UPLOAD, late_s=2)) == [2, 1]


def test_the_poll_that_has_most_to_find_comes_first_whichever_was_due_before() -> None:
    assert order(due(1, late_s=9, age_s=12), due(2, age_s=24), due(3, late_s=5, age_s=20)) == [2, 3, 1]


def test_a_generation_that_was_looked_at_a_moment_ago_has_little_to_find() -> None:
    assert order(due(1, age_s=21, looked_s=20), due(2, age_s=20, looked_s=10)) == [2, 1]


def test_where_nothing_is_known_the_poll_that_is_due_longest_comes_first() -> None:
    assert order(due(1, late_s=1, model="new"), due(2, late_s=2, model="new")) == [2, 1]


def test_each_class_is_ranked_by_itself() -> None:
    found = ranked([due(1), due(2, priority=Priority.INTERACTIVE)], lambda *_: KNOWN, now=NOW)

    assert found == {BULK: [UUID(int=1)], Priority.INTERACTIVE: [UUID(int=2)]}
