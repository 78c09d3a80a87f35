"""A run that waits for approval ends with a refusal, its schedule's removal or its successor, and never spends then."""

from uuid import UUID

import psycopg
import pytest

from tests.catalog.team import MONDAY, PRICE, THREE, WEEK, Team
from worker.catalog import approving, scheduling
from worker.catalog.applying import PlanRefused
from worker.catalog.approving import ApprovalRefused, RunGoesOn
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.rules.schedule import OverlapPolicy


@pytest.fixture
def careful(team: Team) -> Team:
    """Return a team whose plans of three images need an approval."""
    team.recipe = {**team.recipe, "approve_above_credits": 2 * PRICE}
    team.stock(THREE)
    return team


def waiting(team: Team, overlap: OverlapPolicy = OverlapPolicy.SKIP) -> UUID:
    """Have a schedule whose first run waits for an approval."""
    schedule = team.schedule(overlap=overlap)
    team.clock.now = MONDAY
    team.tick()
    assert team.states(schedule) == ["approval"]
    return schedule


def only(team: Team, schedule: UUID) -> RunRow:
    (run,) = team.runs(schedule)
    return run


def refuse(team: Team, plan_id: UUID | None) -> None:
    assert plan_id is not None
    approving.refuse(team.node.services.database, plan_id, by="ada", reason="too expensive", now=team.clock())


def cancel(team: Team, run_id: UUID) -> RunRow:
    return approving.cancel(team.node.services.database, run_id, by="ada", reason="not now", now=team.clock())


def overtake_every_plan(team: Team) -> None:
    """Have each plan from now on be of another content than the catalog has."""
    with psycopg.connect(team.node.services.database.conninfo, autocommit=True) as connection:
        connection.execute("""
            CREATE FUNCTION overtake() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.content_hash := gen_random_uuid(); RETURN NEW; END $$""")
        connection.execute(
            "CREATE TRIGGER overtake BEFORE INSERT ON catalog_plan FOR EACH ROW EXECUTE FUNCTION overtake()"
        )


def batches(team: Team) -> int:
    return len(team.node.query("SELECT id FROM batch"))


def test_a_refused_plan_ends_its_run_and_can_be_neither_approved_nor_applied(careful: Team) -> None:
    schedule = waiting(careful)
    plan = only(careful, schedule).plan_id
    refuse(careful, plan)

    careful.tick()

    run = only(careful, schedule)
    assert (run.state, run.outcome, run.spent) == ("skipped", "ada refused its plan: too expensive", 0)
    with pytest.raises(ApprovalRefused, match="too expensive"):
        careful.approve(plan)
    with pytest.raises(PlanRefused, match="too expensive"):
        careful.apply(plan or UUID(int=0))


def test_an_approved_plan_can_be_refused_until_it_is_applied(team: Team) -> None:
    team.stock(THREE)
    made = team.plan()
    team.approve(made.id)
    refuse(team, made.id)

    with pytest.raises(PlanRefused):
        team.apply(made.id)


def test_a_plan_that_is_applied_can_no_longer_be_refused(team: Team) -> None:
    team.stock(THREE)
    made = team.plan()
    team.apply(made.id)

    with pytest.raises(ApprovalRefused, match="darkroom cancel"):
        refuse(team, made.id)


def test_a_cancelled_run_is_over_and_its_plan_with_it(careful: Team) -> None:
    schedule = waiting(careful)
    run = cancel(careful, only(careful, schedule).id)

    with pytest.raises(ApprovalRefused, match="not now"):
        careful.approve(run.plan_id)
    careful.tick()
    assert (run.state, run.outcome) == ("skipped", "ended by ada: not now")
    assert batches(careful) == 0


def test_a_run_whose_images_are_being_rendered_is_not_cancelled(team: Team) -> None:
    team.stock(THREE)
    schedule = team.schedule()
    team.clock.now = MONDAY
    team.tick()

    with pytest.raises(RunGoesOn, match="darkroom cancel"):
        cancel(team, only(team, schedule).id)


def test_the_next_fire_time_replaces_a_run_that_was_not_approved(careful: Team) -> None:
    schedule = waiting(careful)
    first = only(careful, schedule).plan_id
    careful.stock({**THREE, "d": "green"})
    careful.clock.now = MONDAY + WEEK

    careful.tick()

    old, new = careful.runs(schedule)
    assert (old.state, old.outcome) == (
        "skipped",
        "ended by darkroom: its plan was not approved before the next run was due",
    )
    assert (new.state, new.price) == ("approval", 4 * PRICE)
    with pytest.raises(ApprovalRefused):
        careful.approve(first)


def test_the_next_fire_time_leaves_a_run_that_has_just_been_approved(careful: Team) -> None:
    schedule = waiting(careful)
    careful.approve(only(careful, schedule).plan_id)
    careful.clock.now = MONDAY + WEEK

    careful.tick()

    assert careful.states(schedule) == ["rendering", "skipped"]


@pytest.mark.parametrize("overlap", list(OverlapPolicy))
def test_a_removed_schedule_takes_what_waits_along(careful: Team, overlap: OverlapPolicy) -> None:
    schedule = waiting(careful, overlap)
    plan = only(careful, schedule).plan_id

    careful.remove(schedule)

    assert only(careful, schedule).outcome == "ended by sam: the schedule was removed"
    with pytest.raises(ApprovalRefused):
        careful.approve(plan)


def test_a_removed_schedule_takes_its_queue_along_and_lets_the_images_under_way_come(team: Team) -> None:
    team.stock(THREE)
    schedule = team.schedule(overlap=OverlapPolicy.QUEUE)
    team.clock.now = MONDAY
    team.tick()
    team.run_now(schedule)
    team.remove(schedule)

    team.render()
    team.tick()

    assert [each.state for each in sorted(team.runs(schedule), key=lambda run: run.due_at)] == ["done", "skipped"]


def test_a_waiting_plan_is_made_again_when_its_catalog_has_changed(careful: Team) -> None:
    schedule = waiting(careful)
    careful.stock({**THREE, "d": "green"})
    careful.clock.now = MONDAY + scheduling.CHECK_EVERY

    careful.tick()

    run = only(careful, schedule)
    assert (run.state, run.price) == ("approval", 4 * PRICE)


def test_a_waiting_plan_goes_on_by_itself_when_its_threshold_is_gone(careful: Team) -> None:
    schedule = waiting(careful)
    careful.recipe = {**careful.recipe, "approve_above_credits": None}
    careful.stock(THREE)
    careful.clock.now = MONDAY + scheduling.CHECK_EVERY

    careful.tick()

    assert careful.states(schedule) == ["rendering"]


def test_a_waiting_plan_that_is_still_true_stays(careful: Team) -> None:
    schedule = waiting(careful)
    before = only(careful, schedule)
    careful.clock.now = MONDAY + scheduling.CHECK_EVERY

    careful.tick()

    after = only(careful, schedule)
    assert (after.plan_id, after.checked_at) == (before.plan_id, careful.clock.now)


def test_a_run_gives_up_when_the_catalog_overtakes_its_plans_again_and_again(careful: Team) -> None:
    """A plan that is never true would be made for ever."""
    schedule = waiting(careful)
    overtake_every_plan(careful)
    careful.stock({**THREE, "d": "green"})
    for _ in range(scheduling.STALE_MAX):
        careful.clock.now += scheduling.CHECK_EVERY
        careful.tick()

    run = only(careful, schedule)
    assert (run.state, run.outcome) == ("failed", "the catalog changed 5 times while it was planned")
    assert len(careful.node.query("SELECT id FROM catalog_plan")) == scheduling.STALE_MAX


def test_a_plan_is_made_again_once_at_one_look(team: Team) -> None:
    team.stock(THREE)
    overtake_every_plan(team)
    schedule = team.schedule()
    team.clock.now = MONDAY

    team.tick()

    assert (only(team, schedule).state, only(team, schedule).stale_plans) == ("planning", 2)
    assert len(team.node.query("SELECT id FROM catalog_plan")) == 2
