from collections.abc import Mapping
from uuid import UUID

import pytest

from worker.domain import fairness
from worker.domain.fairness import Claim
from worker.domain.request import Priority

BULK, REFRESH, INTERACTIVE = Priority.BULK, Priority.REFRESH, Priority.INTERACTIVE


def claim(number: int, priority: Priority = BULK, *, weight: int = 1, time: float = 0.0, room: int = 10_000) -> Claim:
    return Claim(batch_id=UUID(int=number), priority=priority, weight=weight, virtual_time=time, room=room)


def shares(*claims: Claim, slots: int, times: Mapping[Priority, float] | None = None) -> list[int]:
    jobs = fairness.allot(claims, times or {}, slots).jobs
    return [jobs.get(each.batch_id, 0) for each in claims]


def test_classes_share_by_their_weights() -> None:
    found = shares(claim(1, INTERACTIVE), claim(2, REFRESH), claim(3, BULK), slots=2100)

    assert found == pytest.approx([1600, 400, 100], abs=20)


@pytest.mark.parametrize("urgent", [INTERACTIVE, REFRESH])
def test_no_class_starves(urgent: Priority) -> None:
    urgent_jobs, bulk_jobs = shares(claim(1, urgent), claim(2, BULK), slots=100)

    assert bulk_jobs >= 100 // (fairness.CLASS_WEIGHTS[urgent] + 1)
    assert urgent_jobs + bulk_jobs == 100


def test_batches_of_a_class_share_by_their_weights() -> None:
    assert shares(claim(1, weight=3), claim(2, weight=1), slots=400) == pytest.approx([300, 100], abs=2)


def test_a_batch_without_room_leaves_its_share_to_the_others() -> None:
    assert shares(claim(1, room=0), claim(2, room=5), claim(3), slots=50) == [0, 5, 45]


def test_no_more_is_given_than_there_is_room_for() -> None:
    assert shares(claim(1, room=2), claim(2, room=1), slots=50) == [2, 1]


def test_a_class_gets_no_credit_for_the_time_that_it_was_idle() -> None:
    found = shares(claim(1, REFRESH), claim(2, BULK, time=1000.0), slots=50, times={BULK: 1000.0, REFRESH: 0.0})

    assert found == pytest.approx([40, 10], abs=5)


def test_a_new_batch_shares_with_the_old_one_of_its_class() -> None:
    assert shares(claim(1, time=1000.0), claim(2), slots=10) == pytest.approx([5, 5], abs=1)


def test_a_batch_that_comes_back_gets_no_credit_for_the_time_that_it_was_idle() -> None:
    """Its cap was raised, say: it shares from now on, and does not take all until it has caught up."""
    assert shares(claim(1, time=1000.0), claim(2, time=1.0), slots=100) == pytest.approx([50, 50], abs=10)


def test_a_batch_that_waits_at_its_cap_does_not_let_a_new_one_take_all() -> None:
    found = shares(claim(1, time=1000.0), claim(2, time=1.0, room=0), claim(3), slots=100)

    assert found == pytest.approx([50, 0, 50], abs=10)


def test_shares_hold_over_many_rounds() -> None:
    times, batch_times = dict[Priority, float](), {UUID(int=1): 0.0, UUID(int=2): 0.0}
    given = {UUID(int=1): 0, UUID(int=2): 0}
    for _ in range(60):
        claims = [claim(1, REFRESH, time=batch_times[UUID(int=1)]), claim(2, BULK, time=batch_times[UUID(int=2)])]
        done = fairness.allot(claims, times, 5)
        times, batch_times = dict(done.class_times), batch_times | dict(done.batch_times)
        given = {id_: count + done.jobs.get(id_, 0) for id_, count in given.items()}

    assert [given[UUID(int=1)], given[UUID(int=2)]] == pytest.approx([240, 60], abs=5)
