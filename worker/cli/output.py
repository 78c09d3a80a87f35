"""How a command speaks: answers go to standard output, everything else to standard error."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TextIO
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli import streams
from worker.cli.listing import Column, Listing

_FILE_WIDTH = 400
"""Wide enough for every table."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
HowMany = Annotated[int, typer.Option(min=1, max=10_000, help="How many.")]
ItemRows = Annotated[int, typer.Option(min=0, help="How many items are listed on the screen.")]
WithoutAsking = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

BatchName = Annotated[
    str, typer.Argument(metavar="BATCH", help="A batch: its id, the beginning of its id, its token or its name.")
]

CatalogName = Annotated[str, typer.Argument(metavar="NAME", help="The catalog's name.")]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="A plan: the file that `plan --out` wrote, or its id.")]

AllowExtra = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="Keep this column as your own data although it looks like another one; may be repeated. A name that"
        " begins with x_ needs no permission.",
    ),
]


class _Console(Console):
    """A console that ends the command quietly when the reader of its output is gone."""

    def on_broken_pipe(self) -> None:
        """End with status 0."""
        streams.exit_quietly()


def answers() -> Console:
    """The console of standard output."""
    return _Console(highlight=False, **_shape(sys.stdout))


def notes() -> Console:
    """The console of standard error: progress, warnings, faults."""
    return _Console(stderr=True, highlight=False, **_shape(sys.stderr))


def _shape(stream: TextIO) -> dict[str, Any]:
    """Fold lines only for a terminal, or where COLUMNS asks for it: a file or a pipe gets each line whole."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return {"width": int(columns)}
    return {} if stream.isatty() else {"soft_wrap": True, "width": _FILE_WIDTH}


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    sys.stdout.write(as_json_text(value) + "\n")


def print_json_with(head: dict[str, Any], name: str, values: Iterable[Any]) -> None:
    """Print one JSON object on one line whose last member is a list of any length, one value of it in memory."""
    start = as_json_text(head | {name: []})
    sys.stdout.write(start.removesuffix("]}"))
    for count, value in enumerate(values):
        sys.stdout.write(", " * (count > 0) + as_json_text(value))
    sys.stdout.write("]}\n")


def as_json_text(value: Any) -> str:
    """Render JSON on one line, escaped where the encoding of standard output lacks characters."""
    return json.dumps(value, ensure_ascii=not streams.holds_any_text(sys.stdout), default=str)


def table(
    *headings: str, numbers: Sequence[str] = (), whole: Sequence[str] = (), details: Sequence[str] = ()
) -> Listing:
    """Make an empty table; ``numbers`` are set to the right, ``whole`` columns are never folded.

    For want of room ``details`` move below their row, the first of them first.
    """
    columns = [Column(heading=each, is_number=each in numbers, is_whole=each in whole) for each in headings]
    return Listing(columns, details=details)


def grid(lines: Mapping[str, str | Text]) -> Table:
    """Make a table of labels and values, shown to the letter; long values are folded."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in lines.items():
        made.add_row(label, value if isinstance(value, Text) else Text(value))
    return made


def short_id(batch_id: UUID) -> str:
    """Shorten a batch's id to what tells it from others: its instant in milliseconds; commands take it as it is."""
    return str(batch_id)[:13]


def plural(count: int, noun: str) -> str:
    """Return a number of things, such as ``1 job`` or ``1,200 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def credits_of(amount: int, *, is_play: bool) -> str:
    """Return an amount of credits, or of a sandbox's, which cost nothing."""
    return plural(amount, "sandbox credit" if is_play else "credit")
