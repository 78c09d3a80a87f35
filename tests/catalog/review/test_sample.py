"""A sample is rendered first; the rest of its plan waits for review at it."""

import pytest

from tests.catalog.shop import BATCHES, BLUE, GREEN, RED, Shop, spent
from tests.catalog.team import PRICE, Team, reject
from tests.fixtures.provider import Provider
from tests.pipeline import books
from worker.catalog.applying import ApprovalNeeded, PlanStale


def test_a_sample_is_rendered_first_and_the_rest_after_a_look(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED, BLUE, GREEN)
    plan = shop.plan(sample=1)
    sample = shop.apply(plan.id)
    shop.node.run_until_quiet()
    synced = shop.sync_results()
    with pytest.raises(ApprovalNeeded, match="waits for review"):
        shop.apply(plan.id)
    shop.approve(plan.id, "ann")

    rest = shop.apply(plan.id)

    assert (sample.jobs, sample.is_sample, rest.jobs, rest.is_sample) == (1, True, 2, False)
    assert (synced.candidates, synced.live) == (1, 0)
    shop.node.run_until_quiet()
    assert spent(shop) == plan.outline.price == 12
    books.check_all_done(shop.node, sandbox)


def test_a_sample_of_everything_is_no_sample(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=4)

    plan = shop.plan(sample=2)

    assert plan.plan_options.sample is None
    with pytest.raises(ApprovalNeeded):
        shop.apply(plan.id)


def test_a_change_after_the_sample_stops_the_rest(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN)
    plan = shop.plan(sample=1)
    shop.apply(plan.id)
    shop.bring_in({**RED, "colour": "black"}, BLUE, GREEN)
    shop.approve(plan.id, "bob")

    with pytest.raises(PlanStale, match="c1: its content is another one now"):
        shop.apply(plan.id)


def test_a_rejected_sample_with_other_words_leaves_the_rest_to_be_rendered(reviewing: Team) -> None:
    """The rest is what the sample was looked at for; the rejected one is rendered again by a plan of its own."""
    reviewing.stock({"a": "red", "b": "blue", "c": "grey"})
    made = reviewing.plan(sample=1)
    reviewing.apply(made.id)
    reviewing.render()
    reviewing.decide(reject(reviewing.candidates()["a"], "A mug of my own"))
    reviewing.refresh(only=["a"])
    reviewing.approve(made.id)

    rest = reviewing.apply(made.id)
    reviewing.render()

    assert (rest.jobs, rest.is_new) == (2, True)
    assert sorted(reviewing.candidates()) == ["a", "b", "c"]
    assert reviewing.spent() == 4 * PRICE


def test_a_plan_with_a_sample_that_is_applied_once_more_says_how_large_its_rest_was(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN)
    plan = shop.plan(sample=1)
    shop.apply(plan.id)
    shop.approve(plan.id, "ann")
    shop.apply(plan.id)

    again = shop.apply(plan.id)

    assert (again.jobs, again.credits, again.is_new) == (2, 8, False)


def test_sample_and_rest_share_one_cap(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN)
    plan = shop.plan(sample=1, credit_cap=8)
    shop.apply(plan.id)
    shop.approve(plan.id, "ann")

    shop.apply(plan.id)

    assert [each["credit_cap"] for each in shop.node.query(BATCHES)] == [8, 4]
