"""Files and places that the documents name are there."""

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
PLACES = {place for cell in LAST_CELL.findall(GLOSSARY) for place in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("path", sorted(set(FILES.findall(DOCUMENTS))))
def test_a_file_that_a_document_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_place_that_the_glossary_names_is_there(place: str) -> None:
    assert (ROOT / "worker" / place).is_dir() or (ROOT / "worker" / f"{place}.py").is_file()


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
