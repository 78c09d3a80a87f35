"""A manifest on its way in: read and checked under a spinner, and its faults shown."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli import lookup, output
from worker.domain.fault import Fault, plain
from worker.intake import Prepared, prepare
from worker.intake.library import Library
from worker.manifest import Form, read
from worker.media.store import Store

FAULTS_SHOWN = 50
_EVERY = 100
"""Rows between two changes of the spinner's words."""


def check(manifest: str, form: Form | None, *, store: Store | None, console: Console) -> Prepared:
    """Read and check every line, and put the references into the store if there is one."""
    path = None if manifest == "-" else Path(manifest)
    rows = read(sys.stdin.buffer if path is None else path, form=form)
    status = console.status("reading ...") if console.is_terminal else nullcontext()
    with status as spinner:

        def tell(count: int) -> None:
            if spinner is not None and count % _EVERY == 0:
                spinner.update(f"{count:,} lines checked")

        base = Path.cwd() if path is None else path.absolute().parent
        return prepare(rows, base=base, library=Library(store), progress=tell)


def show_faults(prepared: Prepared, manifest: str, console: Console) -> None:
    """Print the first faults, and put all of them into a file when they are too many to print."""
    console.print(fault_table(prepared.faults[:FAULTS_SHOWN]))
    if prepared.fault_count > FAULTS_SHOWN:
        rest = prepared.fault_count - FAULTS_SHOWN
        where = _write_faults(prepared.faults, manifest)
        console.print(f"... and {rest:,} more, {where}", markup=False)


def fault_table(faults: tuple[Fault, ...]) -> Table:
    """Give faults as a table: where, which field, why, and what would be taken instead."""
    table = output.table("line", "key", "field", "reason", numbers=("line",))
    table.columns[3].overflow = "fold"
    for fault in faults:
        permitted = f"; permitted: {', '.join(fault.permitted)}" if fault.permitted else ""
        table.add_row(
            str(fault.line) if fault.line else "-",
            Text(plain(fault.key) if fault.key is not None else "-"),
            Text(plain(fault.field) or "-"),
            Text(f"{fault.reason}{permitted}"),
        )
    return table


def bad_lines(prepared: Prepared) -> int:
    """How many lines are at fault; a line may have several faults."""
    return len({fault.line for fault in prepared.faults})


def _write_faults(faults: tuple[Fault, ...], manifest: str) -> str:
    """Say where all faults are: beside the manifest, else in the working directory, else nowhere."""
    beside = Path("stdin.faults.jsonl" if manifest == "-" else f"{manifest}.faults.jsonl")
    for path in (beside, Path(beside.name)):
        try:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(lookup.fault_as_json(fault), ensure_ascii=False) + "\n" for fault in faults)
        except OSError:
            continue
        return f"all in {path}"
    return "and no file could be written for them: use --json"
