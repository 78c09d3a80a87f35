"""No CSV that Darkroom writes has a cell that a spreadsheet carries out."""

import ast
import csv
from io import StringIO
from pathlib import Path
from random import Random

import pytest

import worker
from worker.core.output_files import csv_line

SOURCES = Path(worker.__file__).parent
STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - the full-width signs are formulas as well


def cells(line: str) -> list[str]:
    (found,) = csv.reader(StringIO(line, newline=""))
    return found


@pytest.mark.parametrize("start", STARTS)
def test_a_text_that_begins_like_a_formula_has_an_apostrophe_before_it(start: str) -> None:
    assert cells(csv_line([f"{start}cmd|' /C calc'!A0"])) == [f"'{start}cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", ["chair", "", "2+2", "a=b", "'quoted'", "https://shop.example/?a=-1", "1e-3"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cells(csv_line([text, "x"])) == [text, "x"]


@pytest.mark.parametrize(("number", "cell"), [(-4, "-4"), (0, "0"), (-0.5, "-0.5"), ("-12.50", "-12.50"), ("+7", "+7")])
def test_numbers_stay_numbers(number: object, cell: str) -> None:
    assert cells(csv_line([number])) == [cell]


@pytest.mark.parametrize("text", ["-1+cmd|'/C calc'!A0", "-", "+1 234", "-1e5", "-1\n=1", "-٣"])
def test_what_only_begins_like_a_number_is_no_number(text: str) -> None:
    assert cells(csv_line([text])) == [f"'{text}"]


def test_different_texts_are_different_cells_and_one_apostrophe_less_gives_the_text_again() -> None:
    random = Random(12)
    texts = {"".join(random.choices("'=-1a,\"\n ", k=random.randint(0, 5))) for _ in range(5000)}

    written = {text: cells(csv_line([text, ""]))[0] for text in texts}

    assert len(set(written.values())) == len(texts)
    assert all(cell in {text, f"'{text}"} for text, cell in written.items())


def test_every_csv_is_written_by_the_one_function() -> None:
    writers = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"csv.writer", "csv.DictWriter"}
    }

    assert writers == {"core/output_files.py"}
