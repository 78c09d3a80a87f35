"""A dear plan needs approval by another person than its planner, and nothing bypasses that."""

import pytest

from tests.catalog.shop import BLUE, GREEN, RED, Shop
from worker.catalog.applying import ApprovalNeeded, PlanStale
from worker.catalog.approving import ApprovalRefused
from worker.catalog.planning import PlanFaulty


def test_a_plan_above_the_price_waits_for_a_person_other_than_its_planner(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=7)
    plan = shop.plan(by="ann")

    with pytest.raises(ApprovalNeeded, match="8 credits needs approval by someone other than ann"):
        shop.apply(plan.id)
    with pytest.raises(ApprovalRefused, match="ann made this plan"):
        shop.approve(plan.id, "Ann ")
    shop.approve(plan.id, "bob")

    assert shop.apply(plan.id).jobs == 2


def test_a_plan_that_renders_too_large_a_share_waits_for_an_approval(shop: Shop) -> None:
    rows = [{"sku": f"c{n}", "colour": "red"} for n in range(10)]
    shop.bring_in(*rows)
    shop.refresh()
    shop.bring_in({**rows[0], "colour": "blue"}, *rows[1:], approve_above_share=0.1)
    small = shop.plan()
    shop.bring_in(*({**row, "colour": "blue"} for row in rows[:2]), *rows[2:], approve_above_share=0.1)

    large = shop.plan()

    assert (small.needs_approval, large.needs_approval) == (False, True)


def test_an_approval_is_given_once(shop: Shop) -> None:
    shop.bring_in(RED, approve_above_credits=0)
    plan = shop.plan()
    shop.approve(plan.id, "bob")

    shop.approve(plan.id, "bob")

    with pytest.raises(ApprovalRefused, match="bob has approved"):
        shop.approve(plan.id, "cid")


def test_an_approval_does_not_outlive_the_content(shop: Shop) -> None:
    shop.bring_in(RED, approve_above_credits=0)
    plan = shop.plan()
    shop.approve(plan.id, "bob")
    shop.bring_in(RED, BLUE, approve_above_credits=0)

    with pytest.raises(PlanStale):
        shop.apply(plan.id)


def test_a_plan_is_approved_after_its_sample_and_not_before(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=4)
    plan = shop.plan(sample=1)

    with pytest.raises(ApprovalRefused, match="apply it first"):
        shop.approve(plan.id, "bob")


def test_a_sample_is_not_a_way_around_an_approval(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, approve_above_credits=4)

    with pytest.raises(PlanFaulty, match="sample of 2 is itself above"):
        shop.plan(sample=2)


@pytest.mark.parametrize("threshold", [{"approve_above_credits": 8}, {"approve_above_share": 0.9}])
def test_a_cap_is_no_way_around_an_approval(threshold: dict[str, object], shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, **threshold)

    plan = shop.plan(credit_cap=4)

    assert plan.outline.price == 4
    assert plan.needs_approval


def test_many_samples_are_no_way_around_an_approval(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, {"sku": "c4", "colour": "grey"}, approve_above_credits=4)
    first = shop.plan(sample=1)
    shop.apply(first.id)
    second = shop.plan(sample=1)

    with pytest.raises(ApprovalNeeded, match=f"sample of plan {first.id} waits"):
        shop.apply(second.id)
