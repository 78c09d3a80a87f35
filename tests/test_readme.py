"""The README keeps its word: what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from worker.cli import commands
from worker.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONSOLE = (ROOT / "docs" / "console.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+)`", README + CONSOLE)))
LINKS = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README)))


@cache
def defined() -> frozenset[str]:
    """Every test of the suite, by name."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))


def test_the_readme_names_tests_for_its_promises() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize("name", NAMED)
def test_each_promise_of_the_readme_has_its_test(name: str) -> None:
    assert name in defined()


@pytest.mark.parametrize("link", LINKS)
def test_each_document_that_the_readme_links_is_there(link: str) -> None:
    assert (ROOT / link).is_file()


SETTINGS = sorted(str(field.alias) for field in Settings.model_fields.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README.partition("## Settings")[2]


def test_the_readme_names_no_setting_that_nothing_reads() -> None:
    named = set(re.findall(r"`((?:DARKROOM|RIVYA)_\w+)`", README))

    assert named <= set(SETTINGS)


@pytest.mark.parametrize("name", [each.name for each in commands.ROOT.commands])
def test_each_command_is_in_the_readmes_table(name: str) -> None:
    table = README.partition("## Commands")[2].partition("## Settings")[0]

    assert re.search(rf"`(darkroom )?{name}\b", table)
