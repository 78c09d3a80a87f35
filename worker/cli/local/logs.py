"""`darkroom logs`: what the processes of a home have written."""

import sys
import time
from collections import deque
from pathlib import Path
from typing import IO, Annotated

import typer

from worker.cli import output

_LOOK_S = 0.2


class LogFollower:
    """Follows log files and copies new lines to standard error."""

    def __init__(self) -> None:
        """Begin with no file."""
        self._ends: dict[Path, int] = {}

    def add(self, log: Path) -> None:
        """Follow one more file, from its end, or from its beginning when it is made later."""
        self._ends[log] = log.stat().st_size if log.exists() else 0

    def show(self) -> None:
        """Copy new lines; an unreadable file has none."""
        for log, end in self._ends.items():
            try:
                with log.open("rb") as file:
                    file.seek(end)
                    content = file.read()
            except OSError:
                continue
            self._ends[log] = end + len(content)
            sys.stderr.write(content.decode(errors="backslashreplace"))
        sys.stderr.flush()


def logs(
    process: Annotated[
        str | None, typer.Argument(metavar="[PROCESS]", help="node1, sandbox, postgres or valkey. Without: a list.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Print the end of a log file in the home, or list the log files."""
    from worker.cli.context import home
    from worker.cli.errors import CliError

    folder = home() / "log"
    known = {place.stem: place for place in sorted(folder.glob("*.log"))}
    if process is None:
        _list(folder, known)
        return
    if process not in known:
        there = f"there are {', '.join(known)}" if known else f"there is none in {folder}"
        raise CliError(f"there is no log of {process!r}: {there}")
    with known[process].open(encoding="utf-8", errors="backslashreplace") as file:
        for line in deque(file, maxlen=lines):
            typer.echo(line, nl=False)
        if follow:
            _follow(file)


def _list(folder: Path, known: dict[str, Path]) -> None:
    output.notes().print(f"in {folder}", markup=False, soft_wrap=True)
    table = output.table("process", "bytes", "last written", numbers=("bytes",), whole=("last written",))
    for name, place in known.items():
        facts = place.stat()
        table.add_row(name, f"{facts.st_size:,}", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts.st_mtime)))
    output.answers().print(table)


def _follow(file: IO[str]) -> None:
    try:
        while True:
            while line := file.readline():
                typer.echo(line, nl=False)
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return
