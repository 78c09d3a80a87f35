"""A plan renders what is new, changed or wished for, and no more than the cap pays."""

from datetime import timedelta

import pytest

from tests.catalog.shop import BLUE, GREEN, RED, Shop, reasons, spent
from tests.catalog.team import Team
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from worker.catalog.planning import PlanFaulty


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


def test_what_is_on_its_way_is_not_planned_again(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)

    assert reasons(shop.plan()) == {"c1": ["(being rendered)"]}


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


def test_a_plan_of_some_items_leaves_the_others_as_they_are(reviewing: Team) -> None:
    reviewing.stock({"a": "red", "b": "blue"})

    made = reviewing.plan(only=["a"])
    reviewing.apply(made.id)

    assert made.outline.keeps == {"not in this plan": ["b"]}
    assert reviewing.planned() == {"b": ["new"]}
