"""Fire times are claimed once, missed ones are treated as asked, and each run goes from its plan to its end."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.catalog.team import PRICE, Team
from tests.fixtures.stopping import stopped
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START
from worker.catalog import approving, firing, scheduling
from worker.db import accounts, schedule_runs, schedules
from worker.domain.schedule import MissedPolicy, OverlapPolicy, RunState
from worker.services import Services

THREE = {"a": "red", "b": "blue", "c": "grey"}
MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""The first fire time after the clock's start: 02:00 in Paris."""
WEEK = timedelta(weeks=1)


def until_somebody_waits(team: Team) -> None:
    """Look until a session waits for a row that another one has locked."""
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    found = next((True for _ in range(5_000) if team.node.query(waiting)), False)
    assert found, "nobody waits"


def another_account(team: Team) -> UUID:
    with team.node.services.database.transaction() as tx:
        return accounts.ensure(tx, account_id=team.node.services.new_id(), name="another", now=team.clock())


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


def test_a_queued_run_does_not_begin_beside_one_that_was_asked_for_after_its_fire_time(team: Team) -> None:
    """The fire time is older, and was claimed later: what counts is who came first."""
    schedule = at_work(team).schedule(overlap=OverlapPolicy.QUEUE)
    team.clock.now = MONDAY + timedelta(minutes=5)
    team.run_now(schedule)
    scheduling.advance(team.node.services, team.runs(schedule)[0].id, now=team.clock())
    team.stock({**THREE, "d": "green"})

    team.tick()

    assert team.states(schedule) == ["queued", "rendering"]


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

    first, second = team.runs(schedule)
    assert (first.price, first.spent) == (2 * PRICE, 2 * PRICE)
    assert first.outcome == "2 rendered, 1 beyond the cap, left for the next run"
    assert (second.price, second.spent, second.outcome) == (PRICE, PRICE, "1 rendered")
    assert sorted(team.live()) == ["a", "b", "c"]


def test_a_run_whose_cap_reaches_nothing_says_so(team: Team) -> None:
    schedule = at_work(team).schedule(cap=PRICE - 1)
    team.clock.now = MONDAY

    team.tick()

    assert team.runs(schedule)[0].outcome == "nothing to render within the cap, 3 left for the next run"


def test_a_catalog_that_cannot_be_planned_fails_the_run_with_the_sku(team: Team) -> None:
    at_work(team)
    team.node.query("""UPDATE catalog_item SET fields = '{}' WHERE sku = 'b' RETURNING id""")
    schedule = team.schedule()
    team.clock.now = MONDAY

    team.tick()

    run = team.runs(schedule)[0]
    assert (run.state, run.spent) == ("failed", 0)
    assert (run.outcome or "").startswith("b: ")


@pytest.mark.parametrize(
    ("recipe", "outcome"),
    [
        ('{"model": "gone"}', "the recipe of catalog 'mugs' cannot be used"),
        ('{"prompt": "{{ [1]|random }}"}', "the recipe's prompt is not a template"),
    ],
)
def test_a_recipe_that_cannot_be_used_any_more_fails_the_run_and_no_other(
    team: Team, recipe: str, outcome: str
) -> None:
    schedule = at_work(team).schedule()
    team.node.query("UPDATE catalog SET recipe = recipe || cast(:recipe AS jsonb) RETURNING id", recipe=recipe)
    team.clock.now = MONDAY

    team.tick()

    assert team.states(schedule) == ["failed"]
    assert outcome in (team.runs(schedule)[0].outcome or "")


def test_a_run_that_stands_still_says_why(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.node.query("UPDATE catalog_item SET live_render_id = NULL, fields = '[]' RETURNING id")
    team.clock.now = MONDAY

    with pytest.raises(AttributeError):
        team.tick()

    assert (team.runs(schedule)[0].outcome or "").startswith("tried again after AttributeError")


def test_what_a_run_spent_is_what_the_ledger_says_also_when_a_doubt_is_resolved_later(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    team.render()
    team.tick()
    team.node.query("UPDATE schedule_run SET spent = 0 RETURNING id")

    assert team.runs(schedule)[0].spent == 3 * PRICE


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


@pytest.mark.parametrize("overlap", list(OverlapPolicy))
def test_a_run_that_somebody_asks_for_waits_for_whoever_has_the_schedule_and_heeds_the_overlap(
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
        until_somebody_waits(team)
        seen = len(team.node.query("SELECT id FROM schedule_run"))
    asking.join()

    assert seen == 1
    assert team.states(schedule) == ["rendering", "skipped" if overlap is OverlapPolicy.SKIP else "queued"]


def test_nobody_can_ask_for_a_run_of_a_schedule_that_is_removed(team: Team) -> None:
    schedule = at_work(team).schedule()
    team.remove(schedule)

    with pytest.raises(firing.ScheduleGone):
        team.run_now(schedule)


def test_two_who_ask_at_the_same_instant_both_have_a_run(team: Team) -> None:
    schedule = at_work(team).schedule(overlap=OverlapPolicy.QUEUE)
    team.run_now(schedule)
    team.run_now(schedule)

    assert team.states(schedule) == ["planning", "queued"]


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
