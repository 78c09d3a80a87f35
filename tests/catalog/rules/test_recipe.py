"""A recipe is read whole, or refused with every fault of it."""

import tomllib

import pytest

from worker.catalog.rules.catalog import ReviewPolicy
from worker.catalog.rules.recipe import Recipe, as_toml, recipe
from worker.catalog.rules.refresh_plan import Thresholds
from worker.core.rules.models_catalogue import SizePolicy

WHOLE = {
    "prompt": "A {{ colour }} chair",
    "model": "qwen-image",
    "params": {"image_size": "square", "output_format": "jpeg"},
    "review": "required",
    "credit_cap": 2000,
    "max_age_days": 180,
    "approve_above_credits": 1000,
    "approve_above_share": 0.2,
    "owner": "shop",
    "sku": "article",
    "reference": "photo",
}


def test_a_whole_recipe_is_read_and_stored_and_read_again_without_a_loss() -> None:
    found = recipe(WHOLE)

    assert isinstance(found, Recipe)
    assert (found.review, found.credit_cap, found.sku) == (ReviewPolicy.REQUIRED, 2000, "article")
    assert found.thresholds == Thresholds(credits=1000, share=0.2)
    assert recipe(found.as_json()) == found


@pytest.mark.parametrize(("policy", "is_stored"), [("flag", False), ("accept", True), ("refuse-to-publish", True)])
def test_the_usual_size_policy_is_not_stored_so_that_an_older_recipe_keeps_its_hash(
    policy: str,
    is_stored: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = recipe({"prompt": "A chair", "size_policy": policy})

    assert isinstance(found, Recipe)
    assert found.size_policy is SizePolicy(policy)
    assert ("size_policy" in found.as_json()) is is_stored


def test_a_recipe_needs_nothing_but_a_prompt() -> None:
    found = recipe({"prompt": "A chair"})

    assert isinstance(found, Recipe)
    assert found.params == {"image_size": "square_hd", "output_format": "png"}
    assert (found.review, found.credit_cap) == (ReviewPolicy.NONE, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"promt": "x"}, "promt: 'promt' is not known (did you mean 'prompt'?)"),
        ({"prompt": "  "}, "prompt: is blank"),
        ({"prompt": 7}, "prompt: must be text"),
        ({"model": "dall-e"}, "model: 'dall-e' is not known"),
        ({"params": {"image_sise": "square"}}, "did you mean 'image_size'?"),
        ({"params": {"image_size": "huge"}}, "image_size: 'huge' is not known; permitted: square"),
        ({"params": "square"}, "must be a table"),
        ({"review": "maybe"}, "review: 'maybe' is not known; permitted: none, required"),
        ({"credit_cap": -1}, "credit_cap: must be a whole number"),
        ({"credit_cap": True}, "credit_cap: must be a whole number"),
        ({"max_age_days": 0}, "max_age_days: must be from 1"),
        ({"approve_above_share": 20}, "approve_above_share: must be a share from 0 to 1"),
        ({"review": 7}, "review: 'int' is not known; permitted: none, required"),
        ({"size_policy": "crop"}, "size_policy: 'crop' is not known; permitted: "),
        ({"owner": "a\nb"}, "owner: holds a control"),
    ],
)
def test_a_fault_of_a_recipe_names_its_field_and_its_reason(change: dict[str, object], reason: str) -> None:
    found = recipe({"prompt": "A chair", **change})

    assert not isinstance(found, Recipe)
    assert [reason in str(fault) for fault in found] == [True]


def test_all_faults_are_named_at_once() -> None:
    found = recipe({"promt": "A chair", "credit_cap": -1})

    assert not isinstance(found, Recipe)
    assert [fault.field for fault in found] == ["promt", "credit_cap", "prompt"]


@pytest.mark.parametrize(
    "raw",
    [
        WHOLE,
        {"prompt": "A chair"},
        {"prompt": 'A {{ colour }} chair\non an oak "table"\n', "review": "required", "approve_above_share": 1},
        {"prompt": "\nA chair\n'"},
        {"prompt": "A ''' chair\non a table"},
        {"prompt": "A chair \t\\ \x7f \u00fc \U0001f600", "size_policy": "accept"},
    ],
)
def test_a_recipe_is_written_as_a_person_would_and_read_again_without_a_loss(raw: dict[str, object]) -> None:
    found = recipe(raw)

    assert isinstance(found, Recipe)
    assert recipe(tomllib.loads(as_toml(found))) == found


def test_what_is_as_usual_is_not_written() -> None:
    plain = Recipe(prompt="A chair", params={"is_fast": True})

    assert as_toml(plain) == 'prompt = "A chair"\n\n[params]\nis_fast = true\n'
    assert as_toml(Recipe(prompt="A\nchair", params={})) == "prompt = '''\nA\nchair'''\n"
