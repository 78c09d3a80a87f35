from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest

from worker.accounts.rules.virtual_times import CLASS_WEIGHTS, VirtualTimes
from worker.core.rules.batch_request import Priority
from worker.engine.rules import fairness
from worker.engine.rules.fairness import Candidate

BULK, REFRESH, INTERACTIVE = Priority.BULK, Priority.REFRESH, Priority.INTERACTIVE


def candidate(
    number: int,
    priority: Priority = BULK,
    *,
    owner: str = "ann",
    weight: int = 1,
    time: float = 0.0,
    room: int = 10_000,
) -> Candidate:
    return Candidate(
        batch_id=UUID(int=number), owner=owner, priority=priority, weight=weight, virtual_time=time, room=room
    )


def shares(
    *candidates: Candidate,
    slots: int,
    times: Mapping[Priority, float] | None = None,
    owners: Mapping[str, float] | None = None,
    due: Mapping[Priority, int] | None = None,
) -> list[int]:
    virtual_times = VirtualTimes(classes=times or {}, owners={BULK: owners or {}})
    jobs = fairness.allocate(candidates, virtual_times, slots, due=due).jobs
    return [jobs.get(each.batch_id, 0) for each in candidates]


def over_rounds(candidates: Sequence[Candidate], *, rounds: int, slots: int) -> list[int]:
    """Share out round after round, each beginning with what the one before it has stored."""
    virtual_times, batch_times = VirtualTimes(), {c.batch_id: c.virtual_time for c in candidates}
    given = dict.fromkeys(batch_times, 0)
    for _ in range(rounds):
        now = [
            Candidate(
                **{
                    **{f: getattr(c, f) for f in Candidate.__dataclass_fields__},
                    "virtual_time": batch_times[c.batch_id],
                }
            )
            for c in candidates
        ]
        done = fairness.allocate(now, virtual_times, slots)
        virtual_times, batch_times = done.virtual_times, batch_times | dict(done.batch_times)
        given = {id_: count + done.jobs.get(id_, 0) for id_, count in given.items()}
    return list(given.values())


def test_classes_share_by_their_weights() -> None:
    found = shares(candidate(1, INTERACTIVE), candidate(2, REFRESH), candidate(3, BULK), slots=2100)

    assert found == pytest.approx([1600, 400, 100], abs=20)


@pytest.mark.parametrize(("priority", "least"), [(INTERACTIVE, 16 / 21), (REFRESH, 4 / 21), (BULK, 1 / 21)])
@pytest.mark.parametrize("slots", [1, 5, 250])
def test_every_class_with_work_gets_its_guaranteed_part_of_the_slots(
    slots: int, priority: Priority, least: float
) -> None:
    """However few slots a round has, and however much work the other classes have."""
    rounds = 2100 // slots
    classes = [INTERACTIVE, REFRESH, BULK]

    found = over_rounds([candidate(n, each) for n, each in enumerate(classes)], rounds=rounds, slots=slots)

    assert found[classes.index(priority)] >= int(least * rounds * slots) - 1


@pytest.mark.parametrize("urgent", [INTERACTIVE, REFRESH])
def test_no_class_starves(urgent: Priority) -> None:
    urgent_jobs, bulk_jobs = shares(candidate(1, urgent), candidate(2, BULK), slots=100)

    assert bulk_jobs >= 100 // (CLASS_WEIGHTS[urgent] + 1)
    assert urgent_jobs + bulk_jobs == 100


def test_batches_of_an_owner_share_by_their_weights() -> None:
    assert shares(candidate(1, weight=3), candidate(2, weight=1), slots=400) == pytest.approx([300, 100], abs=2)


@pytest.mark.parametrize("slots", [1, 5, 250])
def test_an_owner_with_100_batches_gets_no_more_than_an_owner_with_one(slots: int) -> None:
    many = [candidate(n, owner="ann") for n in range(100)]

    *anns, bobs = over_rounds([*many, candidate(100, owner="bob")], rounds=1000 // slots, slots=slots)

    assert [sum(anns), bobs] == pytest.approx([500, 500], abs=1)
    assert max(anns) - min(anns) <= 1


def test_the_weight_of_a_batch_takes_nothing_from_other_owners() -> None:
    found = shares(candidate(1, weight=9), candidate(2, weight=1), candidate(3, owner="bob"), slots=400)

    assert found == pytest.approx([180, 20, 200], abs=3)


def test_owners_share_their_class_and_not_the_others() -> None:
    urgent, *bulk = shares(
        candidate(1, REFRESH, owner="ann"), candidate(2, owner="ann"), candidate(3, owner="bob"), slots=500
    )

    assert urgent == pytest.approx(400, abs=5)
    assert bulk == pytest.approx([50, 50], abs=3)


def test_an_owner_who_has_had_less_is_served_first() -> None:
    assert shares(candidate(1), candidate(2, owner="bob"), slots=1, owners={"ann": 7.0, "bob": 6.5}) == [0, 1]


@pytest.mark.parametrize("known", [{"ann": 1000.0}, {"ann": 1000.0, "bob": 3.0}])
def test_an_owner_who_is_new_or_comes_back_shares_from_now_on(known: Mapping[str, float]) -> None:
    """No owner can candidate what it did not use, and none has to wait until others have had as much."""
    found = shares(candidate(1), candidate(2, owner="bob"), slots=100, owners=known)

    assert found == pytest.approx([50, 50], abs=1)


def test_owners_with_nothing_to_do_are_forgotten() -> None:
    virtual_times = VirtualTimes(owners={BULK: {"ann": 5.0, "bob": 5.0, "cat": 5.0}, REFRESH: {"ann": 2.0}})

    after = fairness.allocate(
        [candidate(1, owner="ann"), candidate(2, owner="bob", room=0)], virtual_times, 3
    ).virtual_times

    assert after.owners == {BULK: {"ann": 8.0}}


def test_a_batch_without_room_leaves_its_share_to_the_others() -> None:
    assert shares(candidate(1, room=0), candidate(2, room=5), candidate(3), slots=50) == [0, 5, 45]


def test_an_owner_without_room_leaves_the_share_to_the_others() -> None:
    assert shares(candidate(1, room=5), candidate(2, owner="bob"), slots=50) == [5, 45]


def test_no_more_is_given_than_there_is_room_for() -> None:
    assert shares(candidate(1, room=2), candidate(2, room=1), slots=50) == [2, 1]


def test_a_class_gets_no_credit_for_the_time_that_it_was_idle() -> None:
    found = shares(candidate(1, REFRESH), candidate(2, BULK, time=1000.0), slots=50, times={BULK: 1000.0, REFRESH: 0.0})

    assert found == pytest.approx([40, 10], abs=5)


def test_a_new_batch_shares_with_the_old_one_of_its_owner() -> None:
    assert shares(candidate(1, time=1000.0), candidate(2), slots=10) == pytest.approx([5, 5], abs=1)


def test_a_batch_that_comes_back_gets_no_credit_for_the_time_that_it_was_idle() -> None:
    """Its cap was raised, say: it shares from now on, and does not take all until it has caught up."""
    assert shares(candidate(1, time=1000.0), candidate(2, time=1.0), slots=100) == pytest.approx([50, 50], abs=10)


def test_a_batch_that_waits_at_its_cap_does_not_let_a_new_one_take_all() -> None:
    found = shares(candidate(1, time=1000.0), candidate(2, time=1.0, room=0), candidate(3), slots=100)

    assert found == pytest.approx([50, 0, 50], abs=10)


@pytest.mark.parametrize("slots", [1, 5])
def test_shares_hold_over_many_rounds(slots: int) -> None:
    found = over_rounds([candidate(1, REFRESH), candidate(2, BULK)], rounds=300 // slots, slots=slots)

    assert found == pytest.approx([240, 60], abs=5)


def test_due_steps_of_a_class_come_before_its_admissions() -> None:
    given = fairness.allocate([candidate(1)], VirtualTimes(), 10, due={BULK: 7})

    assert (given.due, given.jobs) == ({BULK: 7}, {UUID(int=1): 3})


def test_due_steps_of_one_class_do_not_keep_another_from_being_admitted() -> None:
    given = fairness.allocate([candidate(1, INTERACTIVE), candidate(2)], VirtualTimes(), 34, due={BULK: 500})

    assert given.jobs == {UUID(int=1): 32}
    assert given.due == {BULK: 2}


def test_due_steps_of_every_class_are_served_however_urgent_the_others_are() -> None:
    given = fairness.allocate(
        [candidate(1, INTERACTIVE)], VirtualTimes(), 210, due={INTERACTIVE: 500, REFRESH: 500, BULK: 500}
    )

    assert list(given.due.values()) == pytest.approx([160, 40, 10], abs=3)


def test_no_class_is_admitted_beyond_its_room_in_the_window() -> None:
    rooms = {INTERACTIVE: 10, REFRESH: 6, BULK: 4}

    given = fairness.allocate([candidate(1, INTERACTIVE), candidate(2, BULK)], VirtualTimes(), 100, rooms=rooms)

    assert sum(given.jobs.values()) == 10
    assert given.jobs[UUID(int=2)] <= 4
