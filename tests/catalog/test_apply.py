"""A plan spends what it says, once, and only while the catalog is what it was made from."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.catalog.shop import Shop, reasons
from tests.catalog.team import PRICE, Team, reject
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from worker.catalog.applying import Applied, ApprovalNeeded, PlanStale, PlanUnknown
from worker.catalog.approving import ApprovalRefused
from worker.catalog.planning import PlanFaulty

RED = {"sku": "c1", "colour": "red"}
BLUE = {"sku": "c2", "colour": "blue"}
GREEN = {"sku": "c3", "colour": "green"}
BATCHES = "SELECT name, owner, purpose, priority, token, credit_cap, size FROM batch ORDER BY created_at, id"


def spent(shop: Shop) -> int:
    return books.balance(shop.node, "spent")


def test_a_catalog_is_rendered_once_and_then_kept(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED, BLUE)

    first, second = shop.refresh(), shop.refresh()

    assert reasons(first) == {"c1": ["new"], "c2": ["new"]}
    assert reasons(second) == {"c1": ["(unchanged)"], "c2": ["(unchanged)"]}
    assert shop.live() == {"c1": "A red chair", "c2": "A blue chair"}
    assert (first.outline.price, second.outline.price, spent(shop)) == (8, 0, 8)
    books.check_all_done(shop.node, sandbox)


def test_only_what_changed_is_rendered_again(shop: Shop, sandbox: Provider) -> None:
    pictures.reference(shop.node.folder, "c2.png", shade=1)
    shop.bring_in(RED, {**BLUE, "reference": "c2.png"}, GREEN)
    shop.refresh()
    pictures.reference(shop.node.folder, "c2.png", shade=2)
    shop.bring_in({**RED, "colour": "black"}, {**BLUE, "reference": "c2.png"}, GREEN, {"sku": "c4", "colour": "grey"})

    plan = shop.refresh()

    assert reasons(plan) == {
        "c1": ["prompt changed"],
        "c2": ["reference changed"],
        "c3": ["(unchanged)"],
        "c4": ["new"],
    }
    assert [str(change) for change in plan.outline.decisions[0].words] == ["red -> black"]
    assert (plan.outline.price, spent(shop)) == (12, 24)
    books.check_all_done(shop.node, sandbox)


def test_a_new_size_in_the_recipe_renders_everything_again(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.refresh()
    shop.bring_in(RED, params={"image_size": "landscape_4_3"})

    assert reasons(shop.plan()) == {"c1": ["params changed"]}


def test_an_item_that_was_removed_is_in_no_plan(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.bring_in(RED)

    assert reasons(shop.plan()) == {"c1": ["new"]}


def test_a_plan_becomes_a_batch_of_its_own_purpose_with_its_id_as_token(shop: Shop) -> None:
    shop.bring_in(RED, owner="team", credit_cap=100)
    plan = shop.plan()

    shop.apply(plan.id)

    assert shop.node.query(BATCHES) == [
        {
            "name": "chairs 2026-11-22",
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


def test_what_is_on_its_way_is_not_planned_again(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)

    assert reasons(shop.plan()) == {"c1": ["(being rendered)"]}


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


def test_a_plan_that_nobody_made_is_named(shop: Shop) -> None:
    with pytest.raises(PlanUnknown):
        shop.apply(uuid4())


def test_the_cap_leaves_the_rest_for_the_next_plan(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED, BLUE, GREEN, credit_cap=8)

    first, second, third = shop.refresh(), shop.refresh(), shop.refresh()

    assert reasons(first)["c3"] == ["(left for the next plan)"]
    assert [plan.outline.price for plan in (first, second, third)] == [8, 4, 0]
    assert len(shop.live()) == 3
    books.check_all_done(shop.node, sandbox)


def test_of_two_caps_the_lower_one_counts(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, credit_cap=8)

    assert shop.plan(credit_cap=4).outline.price == 4
    assert shop.plan(credit_cap=400).outline.price == 8


def test_old_images_are_rendered_again_by_the_recipe_or_by_wish(shop: Shop) -> None:
    shop.bring_in(RED, max_age_days=30)
    shop.refresh()
    shop.node.clock.advance(timedelta(days=20))
    young, wished = shop.plan(), shop.plan(older_than_days=10)
    shop.node.clock.advance(timedelta(days=11))

    old = shop.plan()

    assert [reasons(plan)["c1"] for plan in (young, wished, old)] == [["(unchanged)"], ["too old"], ["too old"]]


def test_an_image_that_was_rendered_for_its_age_is_young_again(shop: Shop) -> None:
    shop.bring_in(RED, max_age_days=30)
    shop.refresh()
    shop.node.clock.advance(timedelta(days=31))
    shop.refresh()

    assert reasons(shop.plan()) == {"c1": ["(unchanged)"]}


def test_a_forced_item_is_rendered_and_an_unknown_one_is_refused(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.refresh()

    assert reasons(shop.plan(forced=["c2"])) == {"c1": ["(unchanged)"], "c2": ["forced"]}
    with pytest.raises(PlanFaulty, match="c9: is not in the catalog"):
        shop.plan(forced=["c9"])


def test_a_plan_above_the_price_waits_for_somebody_else_than_its_planner(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=7)
    plan = shop.plan(by="ann")

    with pytest.raises(ApprovalNeeded, match="8 credits needs the approval of somebody else than ann"):
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


def test_a_sample_is_rendered_first_and_the_rest_after_a_look(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED, BLUE, GREEN)
    plan = shop.plan(sample=1)
    sample = shop.apply(plan.id)
    shop.node.run_until_quiet()
    harvested = shop.harvest()
    with pytest.raises(ApprovalNeeded, match="waits for a look"):
        shop.apply(plan.id)
    shop.approve(plan.id, "ann")

    rest = shop.apply(plan.id)

    assert (sample.jobs, sample.is_sample, rest.jobs, rest.is_sample) == (1, True, 2, False)
    assert (harvested.candidates, harvested.live) == (1, 0)
    shop.node.run_until_quiet()
    assert spent(shop) == plan.outline.price == 12
    books.check_all_done(shop.node, sandbox)


def test_a_plan_is_approved_after_its_sample_and_not_before(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=4)
    plan = shop.plan(sample=1)

    with pytest.raises(ApprovalRefused, match="apply it first"):
        shop.approve(plan.id, "bob")


def test_a_sample_is_not_a_way_around_an_approval(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, approve_above_credits=4)

    with pytest.raises(PlanFaulty, match="sample of 2 is itself above"):
        shop.plan(sample=2)


def test_a_sample_of_everything_is_no_sample(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, approve_above_credits=4)

    plan = shop.plan(sample=2)

    assert plan.wish.sample is None
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


@pytest.mark.parametrize("threshold", [{"approve_above_credits": 8}, {"approve_above_share": 0.9}])
def test_a_cap_is_no_way_around_an_approval(threshold: dict[str, object], shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, **threshold)

    plan = shop.plan(credit_cap=4)

    assert plan.outline.price == 4
    assert plan.needs_approval


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


def test_a_plan_of_some_items_leaves_the_others_as_they_are(reviewing: Team) -> None:
    reviewing.stock({"a": "red", "b": "blue"})

    made = reviewing.plan(only=["a"])
    reviewing.apply(made.id)

    assert made.outline.keeps == {"not in this plan": ["b"]}
    assert reviewing.planned() == {"b": ["new"]}


def test_many_samples_are_no_way_around_an_approval(shop: Shop) -> None:
    shop.bring_in(RED, BLUE, GREEN, {"sku": "c4", "colour": "grey"}, approve_above_credits=4)
    first = shop.plan(sample=1)
    shop.apply(first.id)
    second = shop.plan(sample=1)

    with pytest.raises(ApprovalNeeded, match=f"sample of plan {first.id} waits"):
        shop.apply(second.id)
