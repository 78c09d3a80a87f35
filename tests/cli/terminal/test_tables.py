"""Every table of the commands fits terminals of 60, 80 and 120 columns, with wide characters and huge numbers."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

import worker.cli
from tests.cli.terminal.test_listing import printed
from worker.cli.listing import Column, Listing
from worker.core.rules.states import BatchAction

FIGURE = "12,345,678"
WIDE = "日本語の椅子と机 👩‍🎨 🪑🪑🪑 spring"
WHOLE = {"cron": "*/15 0-23 1,15 * MON-FRI", "decided": "2026-11-29 07:04", "imported": "2026-11-29 07:04"}
INSTANTS = {"submitted", "last written", "made", "rejected", "decided", "imported"}
UUID_TEXT = "01a22298-ba5d-7655-bc74-d63c94c47ec7"
FOLDER = Path(worker.cli.__path__[0])


def calls(path: Path) -> Iterator[Any]:
    """Yield an empty table for each call of ``output.table`` in a module of the commands."""
    module = import_module(".".join(("worker.cli", *path.relative_to(FOLDER).with_suffix("").parts)))
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            names = module.__dict__ | {"action": BatchAction.CANCEL}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "numbers":
                    names["numbers"] = evaluated(node.value, names)
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "output.table":
                    yield pytest.param(node, names, id=f"{path.stem}-{node.lineno}")


def evaluated(node: ast.expr, names: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "<table>", "eval"), names)


MODULES = sorted(path for path in FOLDER.rglob("*.py") if "output.table(" in path.read_text(encoding="utf-8"))
TABLES = [table for path in MODULES for table in calls(path)]


def cell(column: Column) -> str:
    """Return the worst that a cell of the column may hold."""
    if column.is_number:
        return FIGURE
    if column.heading in INSTANTS:
        return "2026-11-29 07:04"
    if column.is_whole:
        return WHOLE.get(column.heading, UUID_TEXT)
    return WIDE


def test_the_tables_of_the_commands_are_found() -> None:
    assert len(TABLES) > 15


def laid_out(table: Listing, width: int) -> list[str]:
    """Return the lines as the table lays them out for this width."""
    console = Console(width=width)
    return [str(line) for line in table.__rich_console__(console, console.options)]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("call", "names"), TABLES)
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(
    call: ast.Call, names: dict[str, Any], width: int
) -> None:
    table: Listing = evaluated(call, names)
    columns = table._columns
    table.add_row(*map(cell, columns))

    lines = printed(table, width)

    # A console folds a line that is too wide, so what it printed does not show it.
    assert [line for line in laid_out(table, width) if cell_len(line) > width] == []
    assert sum(line.count(FIGURE) for line in lines) == sum(column.is_number for column in columns)
