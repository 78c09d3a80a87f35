"""`retry --failed` beside a catalog, and what fails again and again: no change is paid for twice, or for ever."""

import threading
from contextlib import suppress
from uuid import UUID

import pytest

from tests.catalog.team import PRICE, Team
from tests.fixtures.provider import Provider
from worker.batches import control
from worker.batches.actions import RetryEffect
from worker.catalog.applying import PlanStale

FAILING = {"create": {"fail_generation": 1.0}}
WELL = {"create": {"fail_generation": 0.0}}


@pytest.fixture
def failed(team: Team, sandbox: Provider) -> UUID:
    """Return the batch of one item whose image has failed; the provider is well again."""
    sandbox.set(faults=FAILING)
    team.stock({"a": "red"})
    batch_id = team.refresh().batch_id
    assert batch_id is not None
    sandbox.set(faults=WELL)
    return batch_id


def retry(team: Team, batch_id: UUID) -> RetryEffect | None:
    return control.retry_failed(team.node.services.database, batch_id, team.node.author(), approve_above=None)


def test_what_is_being_retried_is_not_planned_as_well(team: Team, failed: UUID) -> None:
    retry(team, failed)

    assert team.planned() == {}


def test_a_retry_before_a_plan_pays_for_a_change_once(team: Team, failed: UUID) -> None:
    retry(team, failed)
    team.refresh()

    assert team.spent() == PRICE
    assert sorted(team.live()) == ["a"]


def test_a_retry_after_a_plan_leaves_out_what_the_plan_has_rendered(team: Team, failed: UUID) -> None:
    team.refresh()

    effect = retry(team, failed)
    team.render()

    assert effect == RetryEffect(jobs=0, credits=0, left_out=1)
    assert team.spent() == PRICE


def test_a_retry_leaves_out_an_item_that_was_removed(team: Team, failed: UUID) -> None:
    team.stock({"b": "blue"})

    effect = retry(team, failed)

    assert effect == RetryEffect(jobs=0, credits=0, left_out=1)


def test_a_plan_that_was_made_before_the_retry_is_stale_after_it(team: Team, failed: UUID) -> None:
    made = team.plan()
    retry(team, failed)

    reasons = team.refusal(made.id)

    assert reasons == ("a: is being rendered now",)


def test_an_item_that_fails_with_three_plans_in_a_row_is_left_alone_until_it_is_forced(
    team: Team, failed: UUID, sandbox: Provider
) -> None:
    sandbox.set(faults=FAILING)
    team.refresh()
    team.refresh()
    given_up = team.plan()
    sandbox.set(faults=WELL)

    team.refresh(forced=["a"])

    assert given_up.outline.keeps == {"failed 3 times in a row: force it": ["a"]}
    assert list(team.live()) == ["a"]


@pytest.mark.parametrize("_", range(3))
def test_a_retry_and_a_plan_that_is_applied_at_the_same_time_pay_for_a_change_once(
    team: Team, failed: UUID, _: int
) -> None:
    made = team.plan()
    barrier = threading.Barrier(2)

    def apply() -> None:
        barrier.wait()
        with suppress(PlanStale):
            team.apply(made.id)

    thread = threading.Thread(target=apply)
    thread.start()
    barrier.wait()
    retry(team, failed)
    thread.join()
    team.render()

    assert team.spent() == PRICE
    assert list(team.live()) == ["a"]
