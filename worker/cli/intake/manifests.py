"""Read and check a manifest with progress, show its faults, and write them to a file on request."""

import json
import sys
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.text import Text

from worker.batches import views
from worker.cli import output
from worker.cli.errors import MISUSED, CliError
from worker.cli.listing import Listing
from worker.cli.streams import write_whole
from worker.core.output_files import csv_line
from worker.core.rules.fault import Fault, plain
from worker.intake.manifest import Form, read
from worker.intake.prepare import Prepared, prepare
from worker.intake.reference_store import ReferenceStore
from worker.intake.request_spool import FaultSpool
from worker.storage.store import Store

FAULTS_SHOWN = 50
_KEPT_SHOWN = 20
_EVERY = 100
"""Rows between two changes of the spinner's words."""


def check(
    manifest: str, form: Form | None, *, store: Store | None, console: Console, extra: Collection[str] = ()
) -> Prepared:
    """Read and check every line, and put the references into the store if there is one."""
    path = None if manifest == "-" else Path(manifest)
    rows = read(sys.stdin.buffer if path is None else path, form=form)
    status = console.status("reading ...") if console.is_terminal else nullcontext()
    with status as spinner:

        def tell(count: int) -> None:
            if spinner is not None and count % _EVERY == 0:
                spinner.update(f"{count:,} lines checked")

        base = Path.cwd() if path is None else path.absolute().parent
        return prepare(rows, base=base, reference_store=ReferenceStore(store), extra=extra, progress=tell)


def kept(columns: Collection[str]) -> str:
    """Name the columns that no line uses, for one line of output."""
    shown = ", ".join(plain(name) for name in list(columns)[:_KEPT_SHOWN])
    return shown + (" ..." if len(columns) > _KEPT_SHOWN else "")


def show_faults(faults: FaultSpool, console: Console) -> None:
    """Print the first faults."""
    console.print(fault_table(islice(faults, FAULTS_SHOWN)))


def keep_faults(faults: FaultSpool, manifest: str, to: Path | None, console: Console) -> None:
    """Write all faults to ``to``; without it, and when there are more than are printed, to a file here."""
    if to is not None:
        _write(faults, to)
        console.print(f"{output.plural(len(faults), 'fault')} written to {to}", markup=False)
    elif len(faults) > FAULTS_SHOWN:
        here = Path(f"{'stdin' if manifest == '-' else Path(manifest).name}.faults.csv")
        _write(faults, here)
        console.print(f"... and {len(faults) - FAULTS_SHOWN:,} more, all in {here}", markup=False)


def fault_table(faults: Iterable[Fault]) -> Listing:
    """Return faults as a table: where, which field, why, and what would be taken instead.

    The same fault of several lines, such as a misspelt column, is one row.
    """
    table = output.table("line", "key", "field", "reason", numbers=("line",), details=("reason",))
    alike: dict[tuple[str, str, tuple[str, ...]], list[Fault]] = {}
    for fault in faults:
        alike.setdefault((fault.field, fault.reason, fault.permitted), []).append(fault)
    for fault, *others in alike.values():
        permitted = f"; permitted: {', '.join(fault.permitted)}" if fault.permitted else ""
        more = f"; and in {output.plural(len(others), 'more line')}, up to line {others[-1].line}" if others else ""
        table.add_row(
            str(fault.line) if fault.line else "-",
            Text(plain(fault.key) if fault.key is not None else "-"),
            Text(plain(fault.field) or "-"),
            Text(f"{fault.reason}{permitted}{more}"),
        )
    return table


def _write(faults: FaultSpool, to: Path) -> None:
    try:
        write(faults, to)
    except OSError as error:
        raise CliError(
            f"the faults cannot be written to {to}: {error.strerror or error}; choose another path with --faults"
        ) from error


COLUMNS = ("line", "key", "field", "reason", "permitted")
_JSON_SUFFIXES = (".jsonl", ".ndjson")


def check_name(path: Path) -> None:
    """Raise CliError, before a million lines are read, when the ending says no form."""
    if path.suffix.lower() not in {".csv", *_JSON_SUFFIXES}:
        raise CliError(f"--faults {path} must end in .csv, .jsonl or .ndjson", MISUSED)


def write(faults: Iterable[Fault], path: Path) -> None:
    """All faults are in the file, or it is as it was; raises OSError."""
    write_whole(path, lambda file: _as_json(faults, file) if path.suffix.lower() != ".csv" else _as_csv(faults, file))


def _as_json(faults: Iterable[Fault], file: IO[str]) -> None:
    file.writelines(json.dumps(views.fault(fault)) + "\n" for fault in faults)


def _as_csv(faults: Iterable[Fault], file: IO[str]) -> None:
    file.write(csv_line(COLUMNS))
    for fault in faults:
        file.write(csv_line([fault.line, fault.key, fault.field, fault.reason, ", ".join(fault.permitted)]))
