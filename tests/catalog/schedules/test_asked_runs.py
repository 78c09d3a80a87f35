"""A requested run follows the overlap policy, and leaves the fire times as they are."""

import threading
from datetime import timedelta

import pytest

from tests.catalog.team import MONDAY, THREE, Team, at_work
from tests.pipeline.node import START
from worker.catalog import scheduling
from worker.catalog.queries import schedules
from worker.catalog.rules.schedule import OverlapPolicy


def until_a_lock_is_waited_for(team: Team) -> None:
    """Look until a session waits for a row that another one has locked."""
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    found = next((True for _ in range(5_000) if team.node.query(waiting)), False)
    assert found, "no transaction waits"


def test_a_queued_run_does_not_begin_beside_one_that_was_asked_for_after_its_fire_time(team: Team) -> None:
    """The fire time is older, and was claimed later: what counts is who came first."""
    schedule = at_work(team).schedule(overlap=OverlapPolicy.QUEUE)
    team.clock.now = MONDAY + timedelta(minutes=5)
    team.run_now(schedule)
    scheduling.advance(team.node.services, team.runs(schedule)[0].id, now=team.clock())
    team.stock({**THREE, "d": "green"})

    team.tick()

    assert team.states(schedule) == ["queued", "rendering"]


def test_a_requested_run_leaves_the_fire_times_as_they_are(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.run_now(schedule)
    team.tick()
    team.render()
    team.tick()
    team.clock.now = MONDAY

    team.tick()

    assert [(each.due_at >= START, each.requested_by, each.outcome) for each in team.runs(schedule)] == [
        (True, "sam", "3 rendered"),
        (True, None, "nothing to render"),
    ]


@pytest.mark.parametrize("overlap", list(OverlapPolicy))
def test_a_requested_run_waits_for_the_lock_of_the_schedule_and_follows_the_overlap_policy(
    team: Team, overlap: OverlapPolicy
) -> None:
    schedule = at_work(team).schedule(overlap=overlap)
    team.clock.now = MONDAY
    team.tick()
    team.wait(minutes=1)
    asking = threading.Thread(target=team.run_now, args=(schedule,))
    with team.node.services.database.transaction() as tx:
        schedules.lock(tx, schedule)
        asking.start()
        until_a_lock_is_waited_for(team)
        seen = len(team.node.query("SELECT id FROM schedule_run"))
    asking.join()

    assert seen == 1
    assert team.states(schedule) == ["rendering", "skipped" if overlap is OverlapPolicy.SKIP else "queued"]


def test_no_run_of_a_removed_schedule_can_be_requested(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.remove(schedule)

    with pytest.raises(scheduling.ScheduleGone):
        team.run_now(schedule)


def test_two_who_ask_at_the_same_instant_both_have_a_run(team: Team) -> None:
    schedule = at_work(team).schedule(overlap=OverlapPolicy.QUEUE)
    team.run_now(schedule)
    team.run_now(schedule)

    assert team.states(schedule) == ["planning", "queued"]
