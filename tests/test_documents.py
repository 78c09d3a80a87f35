"""Files and places that the documents name are there."""

import ast
import re
from pathlib import Path

import pytest

from ops import reference
from ops.reference import sentences
from ops.reference.pages import PAGES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
FILES = re.compile(r"`((?:worker|models|ops|docs|tests|migrations)/[\w/.]*)`")
LAST_CELL = re.compile(r"\| (`[^|]+`) \|$", re.MULTILINE)
FIRST_CELL = re.compile(r"^\| ([^|`]+?) \|", re.MULTILINE)
PATHS = re.findall(r"(?:^\d+\. `.*\n)+", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
MOST_HOPS = 8
_EMPTY: frozenset[str] = frozenset()
PLACES = {place for cell in LAST_CELL.findall(GLOSSARY) for place in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("path", sorted(set(FILES.findall(DOCUMENTS))))
def test_a_file_that_a_document_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_place_that_the_glossary_names_is_there(place: str) -> None:
    assert (ROOT / "worker" / place).is_dir() or (ROOT / "worker" / f"{place}.py").is_file()


@pytest.mark.parametrize("path", PATHS)
def test_each_function_of_a_path_through_the_code_is_named_by_one_before_it(path: str) -> None:
    stations = re.findall(r"^\d+\. `([\w/]+\.py):(\w+)`", path, re.MULTILINE)
    named = [_names_in(*station) for station in stations]

    assert 1 < len(stations) <= MOST_HOPS + 1
    assert [name for n, (_, name) in enumerate(stations) if n and name not in _EMPTY.union(*named[:n])] == []


def _names_in(path: str, name: str) -> set[str]:
    """Return the names that the definition of a function, or of a constant, of a file uses."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    [found] = [each for each in body if name in {getattr(each, "name", None), *map(_id, getattr(each, "targets", ()))}]
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(found)
        if isinstance(node, ast.Attribute | ast.Name)
    }


def _id(target: ast.expr) -> str | None:
    return target.id if isinstance(target, ast.Name) else None


def test_the_glossary_is_in_order_and_names_no_word_twice() -> None:
    words = FIRST_CELL.findall(GLOSSARY)[1:]

    assert len(words) > 40
    assert sorted(set(words), key=str.casefold) == words


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_each_page_of_the_reference_is_that_of_the_code(page: Path) -> None:
    written = page.read_text(encoding="utf-8")

    assert written == PAGES[page](), "write it again: python -m ops.reference"


def test_errors_say_what_to_do_next() -> None:
    said = {kind.error_code: sentences.of(kind) for kind in reference.errors()}

    assert said["batch_was_refused"] == [
        "batch {batch_id} was refused and has no jobs: `darkroom status {batch_id}` says why"
    ]
    assert len([each for each in said.values() if each]) > 40


def test_every_error_of_the_commands_has_a_code_of_its_own() -> None:
    codes = [kind.error_code for kind in reference.errors()]

    assert len(codes) == len(set(codes)) > 30
