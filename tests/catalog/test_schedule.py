"""Fire times are claimed once, missed ones are treated as asked, and each run goes from its plan to its end."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.catalog.team import PRICE, Team
from tests.fixtures.stopping import stopped
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START
from worker.catalog import approving, scheduling
from worker.db import schedule_runs
from worker.domain.schedule import MissedPolicy, OverlapPolicy, RunState
from worker.services import Services

THREE = {"a": "red", "b": "blue", "c": "grey"}
MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""The first fire time after the clock's start: 02:00 in Paris."""
WEEK = timedelta(weeks=1)


def at_work(team: Team) -> Team:
    """Have a catalog of three items, none of them rendered yet."""
    team.stock(THREE)
    return team


def test_nothing_happens_before_the_fire_time(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY - timedelta(seconds=1)

    team.tick()

    assert team.runs(schedule) == []


def test_a_run_plans_applies_and_ends_with_its_batch(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY

    team.tick()
    begun = team.runs(schedule)[0]
    team.render()
    team.tick()

    run = team.runs(schedule)[0]
    assert (begun.state, begun.due_at, begun.price) == ("rendering", MONDAY, 3 * PRICE)
    assert (run.state, run.spent, run.outcome) == ("done", 3 * PRICE, "3 rendered")
    assert sorted(team.live()) == ["a", "b", "c"]


def test_a_run_with_nothing_to_render_is_done_at_once_and_has_no_batch(team: Team) -> None:
    at_work(team).refresh()
    schedule = team.schedule()
    team.clock.now = MONDAY

    team.tick()

    run = team.runs(schedule)[0]
    assert (run.state, run.batch_id, run.spent, run.outcome) == ("done", None, 0, "nothing to render")


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
        gate.wait_for_somebody()
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


def test_a_node_that_dies_after_it_made_the_plan_is_followed_by_another_and_nothing_is_doubled(
    team: Team, node_for: NodeFor
) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    run = team.runs(schedule)[0]
    team.node.query(
        """UPDATE schedule_run SET state = 'approval', batch_id = NULL, lease_until = :until RETURNING id""",
        until=MONDAY + scheduling.LEASE,
    )

    team.tick(node_for())
    early = team.runs(schedule)[0].state
    team.clock.now = MONDAY + scheduling.LEASE
    team.tick(node_for())

    assert early == "approval"
    assert (team.runs(schedule)[0].plan_id, team.runs(schedule)[0].state) == (run.plan_id, "rendering")
    assert len(team.node.query("SELECT id FROM batch")) == 1


@pytest.mark.parametrize(
    ("missed", "state", "outcome"),
    [
        (MissedPolicy.RUN_ONCE, "rendering", None),
        (MissedPolicy.SKIP, "skipped", "missed: no node was alive (1 fire time)"),
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
def test_a_run_that_is_due_while_another_is_not_over_does_what_the_policy_says(
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


def test_a_plan_above_a_threshold_waits_for_an_approval_and_goes_on_with_it(team: Team) -> None:
    team.recipe = {**team.recipe, "approve_above_credits": 2 * PRICE}
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    waiting = team.runs(schedule)[0]
    assert waiting.plan_id is not None

    approving.approve(team.node.services.database, waiting.plan_id, by="ada", now=MONDAY)
    team.tick()

    assert (waiting.state, waiting.batch_id) == ("approval", None)
    assert str(waiting.plan_id) in (waiting.outcome or "")
    assert team.states(schedule) == ["rendering"]


def test_who_made_the_schedule_cannot_approve_its_plans(team: Team) -> None:
    team.recipe = {**team.recipe, "approve_above_credits": 0}
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    plan = team.runs(schedule)[0].plan_id
    assert plan is not None

    with pytest.raises(approving.ApprovalRefused):
        approving.approve(team.node.services.database, plan, by="sam", now=MONDAY)


def test_an_approved_plan_whose_catalog_has_changed_is_made_again_and_waits_again(team: Team) -> None:
    team.recipe = {**team.recipe, "approve_above_credits": 2 * PRICE}
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    first = team.runs(schedule)[0].plan_id
    assert first is not None
    approving.approve(team.node.services.database, first, by="ada", now=MONDAY)
    team.stock({**THREE, "a": "green"})

    team.tick()

    run = team.runs(schedule)[0]
    assert run.state == "approval"
    assert run.plan_id != first
    assert team.node.query("SELECT id FROM batch") == []


def test_a_run_never_commits_more_than_its_cap_and_the_next_goes_on(team: Team) -> None:
    schedule = at_work(team).schedule(cap=2 * PRICE + 1)
    for week in range(2):
        team.clock.now = MONDAY + week * WEEK
        team.tick()
        team.render()
        team.tick()

    assert [(each.price, each.spent) for each in team.runs(schedule)] == [(2 * PRICE, 2 * PRICE), (PRICE, PRICE)]
    assert sorted(team.live()) == ["a", "b", "c"]


def test_a_catalog_that_cannot_be_planned_fails_the_run_with_the_sku(team: Team) -> None:
    at_work(team)
    team.node.query("""UPDATE catalog_item SET fields = '{}' WHERE sku = 'b' RETURNING id""")
    schedule = team.schedule()
    team.clock.now = MONDAY

    team.tick()

    run = team.runs(schedule)[0]
    assert (run.state, run.spent) == ("failed", 0)
    assert (run.outcome or "").startswith("b: ")


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


def test_a_run_that_somebody_asks_for_leaves_the_fire_times_as_they_are(team: Team) -> None:
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
