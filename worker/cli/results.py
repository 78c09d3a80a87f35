"""`darkroom results`: what came of every line of a batch, as JSON lines."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from worker.cli import output


def results(
    batch: output.BatchName,
    to: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write this file, whole or not at all. [default: standard output]"),
    ] = None,
    _as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, as always.")] = False,
) -> None:
    """Print one JSON object for each line of the manifest, in its order."""
    from worker import wiring
    from worker.cli import lookup, outcomes
    from worker.cli.context import resolve

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    found = outcomes.lines(database, wiring.store(context.settings), row.id)
    if to is None:
        _write(found, sys.stdout)
        return
    count = _write_whole(found, to)
    output.notes().print(f"{output.plural(count, 'line')} written to {to}", markup=False)


def _write(found: Iterable[dict[str, Any]], stream: IO[str]) -> int:
    count = 0
    for each in found:
        stream.write(json.dumps(each, ensure_ascii=False, default=str) + "\n")
        count += 1
    return count


def _write_whole(found: Iterable[dict[str, Any]], to: Path) -> int:
    from worker.cli.errors import CliError
    from worker.cli.whole_file import write_whole

    try:
        return write_whole(to, lambda file: _write(found, file))
    except OSError as error:
        raise CliError(f"{to} cannot be written: {error.strerror or error}; name another place with -o") from error
