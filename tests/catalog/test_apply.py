"""A plan spends what it says, once, and only while the catalog is what it was made from."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.catalog.shop import BATCHES, BLUE, GREEN, RED, Shop
from worker.catalog.applying import Applied, PlanStale, PlanUnknown


def test_a_plan_becomes_a_batch_of_its_own_purpose_with_its_id_as_token(shop: Shop) -> None:
    shop.bring_in(RED, owner="team", credit_cap=100)
    plan = shop.plan()

    shop.apply(plan.id)

    assert shop.node.query(BATCHES) == [
        {
            "name": "chairs 2020-11-22",
            "owner": "team",
            "purpose": "refresh",
            "priority": "refresh",
            "token": str(plan.id),
            "credit_cap": 100,
            "size": 1,
        }
    ]


def test_applying_twice_is_the_same_as_once(shop: Shop) -> None:
    shop.bring_in(RED)
    plan = shop.plan()
    first = shop.apply(plan.id)

    second = shop.apply(plan.id)

    assert (second.batch_id, second.jobs, second.credits, second.is_new) == (first.batch_id, 1, 4, False)
    assert shop.renders() == [("c1", "planned")]


def test_a_plan_that_four_places_apply_at_once_is_one_batch(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    plan = shop.plan()
    barrier = threading.Barrier(4)

    def apply(_: int) -> Applied:
        barrier.wait(timeout=10)
        return shop.apply(plan.id)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(apply, range(4)))

    assert len({each.batch_id for each in done}) == 1
    assert sorted(each.is_new for each in done) == [False, False, False, True]
    assert len(shop.renders()) == 2


def test_two_plans_of_the_same_change_render_it_once(shop: Shop) -> None:
    shop.bring_in(RED)
    one, other = shop.plan(), shop.plan()
    shop.apply(one.id)

    with pytest.raises(PlanStale, match="c1: is being rendered now"):
        shop.apply(other.id)

    assert shop.renders() == [("c1", "planned")]


@pytest.mark.parametrize(
    ("rows", "recipe", "said"),
    [
        ([{**RED, "colour": "black"}, BLUE], {}, "c1: its content is another one now"),
        ([BLUE], {}, "c1: is no longer in the catalog"),
        ([RED, BLUE, GREEN], {}, r"c3: would be rendered now \(new\)"),
        ([RED, BLUE], {"prompt": "One {{ colour }} chair"}, "c1: its content is another one now"),
        ([RED, BLUE], {"review": "required"}, "the recipe is another one"),
    ],
)
def test_a_plan_is_refused_when_the_content_is_another_one_and_says_what_changed(
    rows: list[Mapping[str, object]], recipe: dict[str, object], said: str, shop: Shop
) -> None:
    shop.bring_in(RED, BLUE)
    plan = shop.plan()
    shop.bring_in(*rows, **recipe)

    with pytest.raises(PlanStale, match=said):
        shop.apply(plan.id)

    assert shop.node.query(BATCHES) == []


def test_a_plan_stays_good_when_the_content_goes_and_comes_back(shop: Shop) -> None:
    shop.bring_in(RED)
    plan = shop.plan()
    shop.bring_in({**RED, "colour": "black"})
    shop.bring_in(RED)

    assert shop.apply(plan.id).jobs == 1


def test_a_plan_of_nothing_is_applied_without_a_batch(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.refresh()
    plan = shop.plan()

    done = shop.apply(plan.id)

    assert (done.batch_id, done.jobs, done.credits) == (None, 0, 0)
    assert not shop.apply(plan.id).is_new


def test_a_plan_that_does_not_exist_is_named(shop: Shop) -> None:
    with pytest.raises(PlanUnknown):
        shop.apply(uuid4())
