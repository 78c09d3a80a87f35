"""An image that is not as ordered goes live only where the recipe and a person let it."""

from pathlib import Path

import pytest

from tests.catalog.team import RECIPE, Team, accept
from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from worker.catalog import review
from worker.contact_sheet.originals import InStore

ONE = {"a": "red"}


def team(node: Node, **recipe: object) -> Team:
    found = Team(node=node, recipe={**RECIPE, **recipe})
    found.stock(ONE)
    return found


def rendered(found: Team) -> Team:
    """Render what is planned, and take the images in."""
    found.refresh()
    return found


@pytest.mark.parametrize("form", ["webp", "gif", "apng"])
def test_an_image_of_another_form_waits_for_a_person_even_without_review(
    node: Node, sandbox: Provider, form: str
) -> None:
    sandbox.set(result_form=form)
    found = rendered(team(node))

    candidates = found.candidates().values()
    before = found.live()
    found.decide(*accept(candidates))

    assert before == {}
    assert list(found.live()) == ["a"]


def test_an_image_of_another_size_goes_live_by_default(node: Node, sandbox: Provider) -> None:
    sandbox.set(result_pixels=8)

    found = rendered(team(node))

    assert list(found.live()) == ["a"]


def test_an_image_of_another_size_goes_live_by_no_way_when_the_recipe_refuses(
    node: Node, sandbox: Provider, tmp_path: Path
) -> None:
    sandbox.set(result_pixels=8)
    found = rendered(team(node, size_policy="refuse-to-publish"))

    candidates = found.candidates().values()
    effect = found.decide(*accept(candidates))
    [sheet] = review.write_sheets(
        node.services.database,
        InStore(node.services.store, tmp_path / "sheet.html"),
        found.catalog,
        tmp_path / "sheet.html",
        now=node.clock(),
        new_id=node.services.new_id,
    )

    assert found.live() == {}
    assert "another size than was ordered" in effect.refused[0].reason
    assert "which the recipe refuses to publish" in sheet.path.read_text()
    assert "not as ordered: size" in sheet.path.read_text()


def test_a_recipe_that_is_changed_lets_the_image_go_live(node: Node, sandbox: Provider) -> None:
    sandbox.set(result_pixels=8)
    rendered(team(node, size_policy="refuse-to-publish"))
    changed = team(node, size_policy="accept")

    candidates = changed.candidates().values()
    changed.decide(*accept(candidates))

    assert list(changed.live()) == ["a"]
