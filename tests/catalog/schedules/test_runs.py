"""Each run goes from its plan to its end, within its cap and with an approval where one is needed."""

import pytest

from tests.catalog.team import MONDAY, PRICE, THREE, WEEK, Team, at_work
from tests.pipeline.conftest import NodeFor
from worker.catalog import approving
from worker.catalog.rules.schedule import RUN_LEASE


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


def test_a_node_that_dies_after_it_made_the_plan_is_followed_by_another_and_nothing_is_doubled(
    team: Team, node_for: NodeFor
) -> None:
    schedule = at_work(team).schedule()
    team.clock.now = MONDAY
    team.tick()
    run = team.runs(schedule)[0]
    team.node.query(
        """UPDATE schedule_run SET state = 'approval', batch_id = NULL, lease_until = :until RETURNING id""",
        until=MONDAY + RUN_LEASE,
    )

    team.tick(node_for())
    early = team.runs(schedule)[0].state
    team.clock.now = MONDAY + RUN_LEASE
    team.tick(node_for())

    assert early == "approval"
    assert (team.runs(schedule)[0].plan_id, team.runs(schedule)[0].state) == (run.plan_id, "rendering")
    assert len(team.node.query("SELECT id FROM batch")) == 1


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
