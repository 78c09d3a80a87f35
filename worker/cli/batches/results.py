"""`darkroom results`: the outcome of every line of a batch, as JSON lines."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.batches.queries.overview import Overview
    from worker.core.db.session import Database
    from worker.engine.queries.batches import BatchRow
    from worker.storage.store import Store


def results(
    batch: output.BatchName,
    to: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write this file, whole or not at all. [default: standard output]"),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Print each line when its job has ended; exit status 1 if one has no image."),
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only lines that have ended without an image.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV with a header instead of JSON lines.")] = False,
    _as_json: Annotated[bool, typer.Option("--json", help="Write JSON lines, which is the default.")] = False,
) -> None:
    """Write the result of each line of the manifest, in its order, as JSON lines or CSV.

    With --follow each is printed as soon as its job has ended, in the order in which they end, until the batch is
    done; -o then still writes all of them in the order of the manifest.
    """
    from worker import wiring
    from worker.cli import lookup, signing
    from worker.cli.batches import result_rows
    from worker.cli.batches.watch import exit_code
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError

    if follow and (as_csv or failed):
        raise CliError("--follow prints every line as JSON: leave out --csv and --failed", MISUSED)
    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    store = wiring.store(context.settings, database)
    signing.record_export(database, f"batch:{row.id}", "results")
    found = _follow(database, store, row) if follow else None
    lines = result_rows.all_lines(database, store, row.id)
    chosen = (each for each in lines if not failed or each["state"] in result_rows.WITHOUT_IMAGE)
    write = result_rows.write_csv if as_csv else _write
    if to is not None:
        count = _write_whole(chosen, to, write)
        output.notes().print(f"{output.plural(count, 'line')} written to {to}", markup=False)
    elif found is None:
        write(chosen, sys.stdout)
    if found is not None:
        raise typer.Exit(exit_code(found))


def _follow(database: "Database", store: "Store", row: "BatchRow") -> "Overview":
    """Print each line when its job has ended; Ctrl-C ends only the printing."""
    from worker.cli import lookup
    from worker.cli.batches import result_rows, watch

    console = output.notes()
    try:
        for line in result_rows.follow_lines(database, store, row):
            _write([line], sys.stdout)
            sys.stdout.flush()
    except KeyboardInterrupt:
        console.print(f"\nThe batch continues: `darkroom results {row.id} --follow` prints it again.", markup=False)
        raise typer.Exit(watch.INTERRUPTED) from None
    found = lookup.overview_of(database, row)
    watch.say_what_waits(found, console)
    return found


def _write(found: Iterable[dict[str, Any]], stream: IO[str]) -> int:
    count = 0
    for each in found:
        stream.write(output.as_json_text(each) + "\n")
        count += 1
    return count


def _write_whole(
    found: Iterable[dict[str, Any]], to: Path, write: Callable[[Iterable[dict[str, Any]], IO[str]], int]
) -> int:
    from worker.cli.errors import CliError
    from worker.cli.streams import write_whole

    try:
        return write_whole(to, lambda file: write(found, file))
    except OSError as error:
        raise CliError(f"{to} cannot be written: {error.strerror or error}; choose another path with -o") from error
