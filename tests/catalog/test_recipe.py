"""A recipe is checked whole; its template runs in a sandbox and never buys a prompt with a hole in it."""

from pathlib import Path

import pytest

from worker.catalog import recipes
from worker.catalog.recipes import RecipeFaulty
from worker.catalog.rules.catalog import ReviewPolicy
from worker.catalog.rules.recipe import Recipe, recipe
from worker.catalog.template import PromptTemplate
from worker.core.rules.fault import UnfitError

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
        ({"params": {"image_size": "huge"}}, "image_size: 'huge' is not known; permitted: square"),
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


@pytest.mark.parametrize("fields", [{}, {"color": "red"}, {"colour": None}, {"colour": ""}, {"colour": " \t"}])
def test_a_field_that_is_missing_null_or_blank_is_an_error_with_its_name(fields: dict[str, object]) -> None:
    with pytest.raises(UnfitError, match="names 'colour'"):
        PromptTemplate("A {{ colour }} chair").prompt(fields)


def test_a_blank_field_takes_the_templates_default() -> None:
    prompt = PromptTemplate("A {{ colour|default('grey') }} chair").prompt({"colour": ""})

    assert prompt == "A grey chair"


@pytest.mark.parametrize("source", ["{{ [1, 2]|random }}", "{{ 'a'|pprint }}"])
def test_a_filter_that_leaves_the_prompt_to_chance_is_not_known(source: str) -> None:
    with pytest.raises(UnfitError, match="No filter named"):
        PromptTemplate(source)


@pytest.mark.parametrize("source", ["{{ lipsum() }}", "{{ lipsum(n=1) }}"])
def test_a_text_that_is_made_up_is_not_known(source: str) -> None:
    with pytest.raises(UnfitError, match="names 'lipsum'"):
        PromptTemplate(source).prompt({"colour": "red"})


@pytest.mark.parametrize(
    "source",
    ["{{ range }}", "{{ colour.upper }}", "{{ [1]|map('string') }}", "{{ '%s'|format(range) }}", "{{ [range]|join }}"],
)
def test_a_template_cannot_print_what_has_another_name_in_each_process(source: str) -> None:
    with pytest.raises(UnfitError):
        PromptTemplate(source).prompt({"colour": "red"})


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "source",
    [
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% macro twice(n) %}{% if n %}{{ twice(n - 1) }}{{ twice(n - 1) }}{% endif %}{% endmacro %}{{ twice(90) }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x|replace('a', n.x) %}{% endfor %}",
        "{% set n = namespace(x=9) %}{% for a in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ 2 ** 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ colour.ljust(10 ** 9) }}",
        "{{ range(10 ** 9)|list }}",
    ],
)
def test_a_template_that_would_not_end_is_ended_and_says_so(source: str) -> None:
    with pytest.raises(UnfitError, match="cannot be filled in"):
        PromptTemplate(source).prompt({"colour": "red"})


def test_a_template_may_loop_format_and_put_together_what_a_prompt_needs() -> None:
    source = (
        "{% for part in parts %}{{ loop.index }}/{{ loop.length }} {{ part|upper }}{{ ', ' if not loop.last }}"
        "{% endfor %}{{ ' and ' ~ '%.1f'|format(size) ~ ' cm' }}, {{ parts|map('title')|join('+') }}{{ '-' * 3 }}"
    )

    prompt = PromptTemplate(source).prompt({"parts": ["oak", "ash"], "size": 4})

    assert prompt == "1/2 OAK, 2/2 ASH and 4.0 cm, Oak+Ash---"


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
