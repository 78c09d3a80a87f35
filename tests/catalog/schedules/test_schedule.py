"""Fire times are claimed once; missed ones, and those that meet a run, are treated as asked."""

import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.catalog.team import MONDAY, PRICE, THREE, WEEK, Team, at_work
from tests.fixtures.stopping import stopped
from tests.pipeline.conftest import NodeFor
from worker.accounts.queries import accounts
from worker.audit.queries import instants
from worker.catalog import scheduling
from worker.catalog.queries import schedule_runs
from worker.catalog.rules.schedule import RUN_LEASE, MissedPolicy, OverlapPolicy, RunState
from worker.engine.services import Services


def another_account(team: Team) -> UUID:
    with team.node.services.database.transaction() as tx:
        return accounts.ensure(tx, account_id=team.node.services.new_id(), name="another", now=team.clock())


def test_nothing_happens_before_the_fire_time(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY - timedelta(seconds=1)

    team.tick()

    assert team.runs(schedule) == []


def test_a_fire_time_has_one_run_however_many_nodes_look_at_once(team: Team, node_for: NodeFor) -> None:
    schedule = at_work(team).schedule()
    nodes = [node_for() for _ in range(4)]
    team.clock.now = MONDAY
    barrier = threading.Barrier(len(nodes))

    def look(services: Services) -> None:
        barrier.wait()
        scheduling.tick(services, now=MONDAY)

    threads = [threading.Thread(target=look, args=(each.services,)) for each in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert team.states(schedule) == ["rendering"]
    assert len(team.node.query("SELECT id FROM batch")) == 1


def test_a_due_time_that_two_nodes_have_seen_is_written_once(team: Team, node_for: NodeFor) -> None:
    """Both have seen that the time has come before either has written the run."""
    schedule = at_work(team).schedule()
    other = node_for()
    team.clock.now = MONDAY
    with stopped(other.services.database.conninfo, table="schedule", mark="FROM schedule WHERE id") as gate:
        late = threading.Thread(target=scheduling.tick, args=(other.services,), kwargs={"now": MONDAY})
        late.start()
        gate.wait_until_reached()
        with team.node.services.database.transaction() as tx:
            tx.execute(
                text("""
                    INSERT INTO schedule_run (id, schedule_id, due_at, state, started_at)
                    VALUES (gen_random_uuid(), :id, :due, 'done', :due)"""),
                {"id": schedule, "due": MONDAY},
            )
        gate.open()
        late.join()

    assert team.states(schedule) == ["done"]


def test_a_second_run_of_one_fire_time_is_not_written(team: Team) -> None:
    schedule = at_work(team).schedule()

    with team.node.services.database.transaction() as tx:
        written = [
            schedule_runs.claim(
                tx,
                run_id=team.node.services.new_id(),
                schedule_id=schedule,
                due_at=MONDAY,
                state=RunState.QUEUED,
                now=MONDAY,
            )
            for _ in range(2)
        ]

    assert written == [True, False]


@pytest.mark.parametrize(
    ("missed", "state", "outcome"),
    [
        (MissedPolicy.RUN_ONCE, "rendering", None),
        (MissedPolicy.SKIP, "skipped", "missed: no node was running (1 fire time)"),
    ],
)
def test_a_node_that_was_down_for_a_day_does_what_the_policy_says(
    team: Team, missed: MissedPolicy, state: str, outcome: str | None
) -> None:
    schedule = at_work(team).schedule(missed=missed)
    team.clock.now = MONDAY + timedelta(days=1)

    team.tick()
    team.tick()

    run = team.runs(schedule)[0]
    assert len(team.runs(schedule)) == 1
    assert (run.state, run.due_at, run.outcome) == (state, MONDAY, outcome)


def test_of_many_missed_fire_times_only_the_newest_is_made_up_for(team: Team) -> None:
    schedule = at_work(team).schedule("0 2 * * *")
    team.clock.now = MONDAY + timedelta(days=4, hours=3)

    team.tick()
    team.render()
    team.tick()

    assert [(each.due_at, each.state) for each in team.runs(schedule)] == [(MONDAY + timedelta(days=4), "done")]


def test_a_fire_time_that_is_a_little_late_was_not_missed(team: Team) -> None:
    schedule = at_work(team).schedule(missed=MissedPolicy.SKIP)
    team.clock.now = MONDAY + timedelta(minutes=10)

    team.tick()

    assert team.states(schedule) == ["rendering"]


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        (OverlapPolicy.SKIP, ["rendering", "skipped", "skipped"]),
        (OverlapPolicy.QUEUE, ["rendering", "queued", "skipped"]),
    ],
)
def test_a_run_that_is_due_while_another_is_in_progress_follows_the_overlap_policy(
    team: Team, overlap: OverlapPolicy, states: list[str]
) -> None:
    schedule = at_work(team).schedule(overlap=overlap)
    for week in range(3):
        team.clock.now = MONDAY + week * WEEK
        team.tick()

    assert team.states(schedule) == states


def test_a_queued_run_begins_when_the_one_before_it_is_over_and_plans_what_has_changed_by_then(team: Team) -> None:
    schedule = at_work(team).schedule(overlap=OverlapPolicy.QUEUE)
    for week in range(2):
        team.clock.now = MONDAY + week * WEEK
        team.tick()
    team.stock({**THREE, "c": "green"})
    team.render()

    team.tick()
    team.tick()
    team.render()
    team.tick()

    assert [(each.state, each.spent) for each in team.runs(schedule)] == [("done", 3 * PRICE), ("done", PRICE)]
    assert team.live()["c"] == "A green mug on a table"


def test_nodes_keep_the_schedules_of_their_own_account_only(team: Team, node_for: NodeFor) -> None:
    """The other account has another key: its wallet would pay."""
    schedule = at_work(team).schedule()
    other = node_for()
    stranger = replace(other.services, account_id=another_account(team))
    team.clock.now = MONDAY

    scheduling.tick(stranger, now=MONDAY)
    team.run_now(schedule)
    scheduling.tick(stranger, now=MONDAY)

    assert team.states(schedule) == ["planning"]


def test_what_was_due_in_a_pause_is_not_made_up_for(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.pause(schedule)
    team.clock.now = MONDAY + timedelta(days=1)
    team.tick()
    team.resume(schedule)

    team.tick()
    team.clock.now = MONDAY + WEEK
    team.tick()

    assert [each.due_at for each in team.runs(schedule)] == [MONDAY + WEEK]


def test_a_removed_schedule_fires_no_more_and_its_run_goes_on(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    team.remove(schedule)
    team.clock.now = MONDAY + WEEK

    team.tick()
    team.render()
    team.tick()

    assert team.states(schedule) == ["done"]


def heal(team: Team) -> set[str]:
    services = team.node.services
    with services.database.transaction() as tx:
        found = instants.heal(tx, services.account_id, now=team.clock())
    return {f"{each.table}.{each.column}" for each in found}


def test_a_schedule_that_counts_from_a_year_ahead_is_healed_and_fires_at_its_next_time(team: Team) -> None:
    schedule = at_work(team).schedule()
    year = timedelta(days=365)
    team.node.query("UPDATE schedule SET counts_from = :at RETURNING 1", at=team.clock() + year)

    found = heal(team)
    team.clock.now = MONDAY
    team.tick()

    assert found == {"schedule.counts_from"}
    assert [each.due_at for each in team.runs(schedule)] == [MONDAY]
    assert heal(team) == set()


def test_fire_times_that_a_node_a_month_ahead_has_claimed_are_healed_and_come_again(team: Team) -> None:
    schedule = at_work(team).schedule()
    now = team.clock()
    for weeks in range(4):
        team.clock.now = MONDAY + weeks * WEEK
        team.tick()
    team.clock.now = now

    found = heal(team)
    early = [each.due_at for each in team.runs(schedule)]
    team.clock.now = MONDAY
    team.tick()

    assert {"schedule_run.due_at", "schedule_run.started_at"} <= found
    assert (early, early[-1]) == (sorted(early), now)
    assert [each.due_at for each in team.runs(schedule)] == [*early, MONDAY]


def test_a_run_whose_lease_ends_tomorrow_goes_on_when_a_lease_is_over(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    team.render()
    lease = "UPDATE schedule_run SET lease_until = :at RETURNING 1"
    team.node.query(lease, at=team.clock() + timedelta(days=1))

    found = heal(team)
    team.clock.advance(RUN_LEASE + timedelta(seconds=1))
    team.tick()

    assert found == {"schedule_run.lease_until"}
    assert team.states(schedule) == ["done"]


def test_a_schedule_that_any_node_keeps_is_reported_once_whatever_the_number_of_accounts(team: Team) -> None:
    at_work(team).schedule()
    another_account(team)
    far = "UPDATE schedule SET account_id = NULL, counts_from = now() + interval '1 year' RETURNING 1"
    team.node.query(far)

    with team.node.services.database.transaction() as tx:
        found = [each for each in instants.at_a_glance(tx) if each.table == "schedule"]

    assert [each.column for each in found] == ["counts_from"]
    assert instants.is_healed(found[0])
