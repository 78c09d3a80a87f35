"""A recipe's file and its template are checked before the catalog is made."""

from pathlib import Path

import pytest

from worker.catalog import importing
from worker.catalog.importing import RecipeFaulty


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("{{ colour", "prompt: is not a template: line 1"),
        ("{{ colour|nosuch }}", "line 1: the filter 'nosuch' is not known; permitted: abs, "),
    ],
)
def test_a_prompt_that_is_no_template_is_refused(prompt: str, reason: str) -> None:
    with pytest.raises(RecipeFaulty) as refused:
        importing.checked_recipe({"prompt": prompt}, "recipe.toml")

    assert reason in str(refused.value)


def test_a_recipe_without_a_prompt_is_refused() -> None:
    with pytest.raises(RecipeFaulty, match="prompt: is missing"):
        importing.checked_recipe({}, "recipe.toml")


@pytest.mark.parametrize(("content", "reason"), [(b"prompt = ", "is not TOML"), (b"\xff", "is not UTF-8")])
def test_a_file_that_is_no_recipe_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)

    with pytest.raises(RecipeFaulty, match=reason):
        importing.read_recipe(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeFaulty, match="cannot be read: No such file"):
        importing.read_recipe(tmp_path / "recipe.toml")
