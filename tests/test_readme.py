"""The README keeps its word: what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+)`", README)))
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
