"""New images wait for a person; what the person decides takes effect together."""

from uuid import uuid4

import pytest

from tests.catalog.team import PRICE, Team, accept, reject
from worker.catalog.rules.decisions import Decision, Verdict

TWO = {"a": "red", "b": "blue"}


def test_new_images_wait_where_the_recipe_asks_for_a_review(reviewing: Team) -> None:
    reviewing.stock(TWO)

    reviewing.refresh()

    assert sorted(reviewing.candidates()) == ["a", "b"]
    assert reviewing.live() == {}


def test_accepted_images_go_live_together_and_spend_nothing(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    spent = reviewing.spent()

    effect = reviewing.decide(*accept(reviewing.candidates().values()))

    assert effect.accepted == ("a", "b")
    assert reviewing.live() == {"a": "A red mug on a table", "b": "A blue mug on a table"}
    assert len({row["from_at"] for row in reviewing.node.query("SELECT from_at FROM catalog_live")}) == 1
    assert reviewing.spent() == spent


def test_only_the_rejected_are_rendered_again_and_only_by_the_next_plan(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    found = reviewing.candidates()

    reviewing.decide(*accept([found["a"]]), reject(found["b"]))
    reviewing.render()

    assert reviewing.spent() == 2 * PRICE
    assert reviewing.planned() == {"b": ["rejected"]}


def test_a_rejected_image_leaves_the_live_one_where_it_is(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    reviewing.decide(*accept(reviewing.candidates().values()))
    reviewing.stock({**TWO, "b": "green"})
    reviewing.refresh()

    reviewing.decide(reject(reviewing.candidates()["b"]))

    assert reviewing.live()["b"] == "A blue mug on a table"


def test_an_edited_prompt_is_what_the_next_try_is_made_from(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["b"], "A navy mug, seen from above"))

    reviewing.refresh()
    reviewing.decide(*accept(reviewing.candidates().values()))

    assert reviewing.live()["b"] == "A navy mug, seen from above"
    assert reviewing.planned() == {}


def test_an_edit_of_an_edited_prompt_replaces_it(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["b"], "A navy mug"))
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["b"], "A navy mug, seen from above"))

    reviewing.refresh()

    assert reviewing.candidates()["b"].new.parts["prompt"] == "A navy mug, seen from above"


def test_an_edited_prompt_ends_with_the_prompt_that_it_was_written_for(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["b"], "A navy mug"))
    reviewing.stock({**TWO, "b": "green"})

    reviewing.refresh()

    assert reviewing.candidates()["b"].new.parts["prompt"] == "A green mug on a table"


def test_the_same_decisions_again_change_nothing(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    found = reviewing.candidates()
    made = [*accept([found["a"]]), reject(found["b"])]
    reviewing.decide(*made)

    effect = reviewing.decide(*made)

    assert (effect.accepted, effect.rejected, sorted(effect.unchanged)) == ((), (), ["a", "b"])
    assert len(reviewing.node.query("SELECT 1 AS n FROM catalog_live")) == 1


def test_decisions_about_images_that_wait_no_longer_are_refused_by_name_and_the_others_hold(reviewing: Team) -> None:
    reviewing.stock({**TWO, "c": "grey"})
    reviewing.refresh()
    seen = reviewing.candidates()
    reviewing.stock({"a": "red", "b": "green"})
    reviewing.refresh()

    effect = reviewing.decide(*accept(seen.values()))

    assert effect.accepted == ("a",)
    assert [(each.sku, each.reason.partition(":")[0]) for each in effect.refused] == [
        ("b", "its image waits no longer, it is superseded now"),
        ("c", "the item is no longer in the catalog"),
    ]


def test_an_image_that_is_live_cannot_be_rejected(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    found = reviewing.candidates()
    reviewing.decide(*accept(found.values()))

    effect = reviewing.decide(reject(found["a"]))

    assert [each.sku for each in effect.refused] == ["a"]
    assert sorted(reviewing.live()) == ["a", "b"]


def test_an_image_that_does_not_exist_is_refused(reviewing: Team) -> None:
    reviewing.stock(TWO)

    effect = reviewing.decide(Decision(sku="x", render_id=uuid4(), verdict=Verdict.ACCEPT))

    assert [each.reason for each in effect.refused] == ["this catalog has no such image"]


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 5_001])
def test_an_edited_prompt_that_no_job_can_have_is_refused(reviewing: Team, prompt: str) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()

    effect = reviewing.decide(reject(reviewing.candidates()["a"], prompt))

    assert [each.sku for each in effect.refused] == ["a"]
    assert sorted(reviewing.candidates()) == ["a", "b"]


def test_an_image_whose_item_has_changed_since_does_not_go_live(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    reviewing.stock({**TWO, "a": "pink"})

    effect = reviewing.decide(*accept(reviewing.candidates().values()))

    assert [(each.sku, each.reason[:20]) for each in effect.refused] == [("a", "the item has changed")]
    assert list(reviewing.live()) == ["b"]


def test_an_image_of_a_reviewers_own_words_can_be_accepted(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["a"], "A mug of my own"))
    reviewing.refresh()

    effect = reviewing.decide(*accept(reviewing.candidates().values()))

    assert (effect.accepted, effect.refused) == (("a",), ())


def test_an_image_that_the_store_has_lost_cannot_be_accepted_and_can_be_rejected(reviewing: Team) -> None:
    reviewing.stock(TWO)
    reviewing.refresh()
    found = reviewing.candidates()
    reviewing.lose(found["a"].new.path)

    effect = reviewing.decide(*accept(found.values()))
    again = reviewing.decide(reject(found["a"]))

    assert [(each.sku, each.reason[:18]) for each in effect.refused] == [("a", "the store has lost")]
    assert (list(reviewing.live()), again.rejected) == (["b"], ("a",))
