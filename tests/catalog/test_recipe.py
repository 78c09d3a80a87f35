"""A recipe is checked whole; its template runs in a sandbox and never buys a prompt with a hole in it."""

from pathlib import Path

import pytest

from worker.catalog import recipes
from worker.catalog.recipes import RecipeFaulty
from worker.catalog.template import PromptTemplate
from worker.domain.catalog import ReviewPolicy
from worker.domain.fault import UnfitError
from worker.domain.recipe import Recipe, recipe

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
    assert recipe(found.as_json()) == found


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
        ({"prompt": "{{ colour"}, "prompt: is not a template: line 1"),
        ({"prompt": "{{ colour|nosuch }}"}, "No filter named 'nosuch'"),
        ({"model": "dall-e"}, "model: 'dall-e' is not known"),
        ({"params": {"image_sise": "square"}}, "did you mean 'image_size'?"),
        ({"params": {"image_size": "huge"}}, "image_size = 'huge' is not known; permitted: square"),
        ({"params": "square"}, "must be a table"),
        ({"review": "maybe"}, "review: 'maybe' is not known; permitted: none, required"),
        ({"credit_cap": -1}, "credit_cap: must be a whole number"),
        ({"credit_cap": True}, "credit_cap: must be a whole number"),
        ({"max_age_days": 0}, "max_age_days: must be from 1"),
        ({"approve_above_share": 20}, "approve_above_share: must be a share from 0 to 1"),
        ({"owner": "a\nb"}, "owner: holds a control"),
    ],
)
def test_a_fault_of_a_recipe_names_its_field_and_its_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(RecipeFaulty) as refused:
        recipes.checked({"prompt": "A chair", **change}, "recipe.toml")

    assert reason in str(refused.value)


def test_a_recipe_without_a_prompt_is_refused() -> None:
    with pytest.raises(RecipeFaulty, match="prompt: is missing"):
        recipes.checked({}, "recipe.toml")


@pytest.mark.parametrize(("content", "reason"), [(b"prompt = ", "is not TOML"), (b"\xff", "is not UTF-8")])
def test_a_file_that_is_no_recipe_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)

    with pytest.raises(RecipeFaulty, match=reason):
        recipes.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeFaulty, match="cannot be read: No such file"):
        recipes.read(tmp_path / "recipe.toml")


def test_a_template_fills_in_fields_trims_and_permits_defaults() -> None:
    template = PromptTemplate(
        "  A {{ colour }} chair{% if wood is defined %} of {{ wood }}{% endif %}{{ x|default('!') }}\n"
    )

    assert template.prompt({"colour": "red"}) == "A red chair!"
    assert template.prompt({"colour": "red", "wood": "oak", "x": "."}) == "A red chair of oak."


@pytest.mark.parametrize("fields", [{}, {"color": "red"}, {"colour": None}])
def test_a_field_that_is_missing_or_null_is_an_error_with_its_name(fields: dict[str, object]) -> None:
    with pytest.raises(UnfitError, match="names 'colour'"):
        PromptTemplate("A {{ colour }} chair").prompt(fields)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ colour.__init__.__globals__ }}",
        "{{ self.__init__ }}",
        "{% for n in range(10000000) %}x{% endfor %}",
        "{% include 'etc' %}",
        "{{ 1 / 0 }}",
        "{{ colour + 1 }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox_and_fails_in_a_sentence(source: str) -> None:
    template = PromptTemplate(source)

    with pytest.raises(UnfitError):
        template.prompt({"colour": "red"})
