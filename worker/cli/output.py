"""How a command speaks: answers go to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli import streams

_FILE_WIDTH = 400
"""Wide enough for every table."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
BatchName = Annotated[
    str, typer.Argument(metavar="BATCH", help="A batch: its id, the beginning of its id, its token or its name.")
]


class _Console(Console):
    """A console that ends the command quietly when nobody reads its output any more."""

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
    """Fold lines only for a terminal: a file or a pipe gets each line whole."""
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


class _Table(Table):
    """A table whose cells are shown to the letter: what looks like markup is somebody's name."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; text that is to be styled comes as a Text."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def table(*headings: str, numbers: tuple[str, ...] = (), title: str | None = None) -> Table:
    """Give an empty table; the columns named in ``numbers`` are set to the right."""
    made = _Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(
            heading, justify="right" if heading in numbers else "left", no_wrap=heading in {"batch", *numbers}
        )
    return made


def plural(count: int, noun: str) -> str:
    """Say a number of things, such as ``1 job`` or ``1,200 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
