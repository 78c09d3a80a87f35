"""`darkroom audit check`: whether a printed report is still what was printed, and what the books say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.errors import CliError

if TYPE_CHECKING:
    from worker.audit.evidence import Printed


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The report, with its evidence in the file or beside it.")
    ],
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the file alone, without regenerating the report from the ledger.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Check a report against its evidence and the ledger; exit status 1 on a difference."""
    from worker import wiring
    from worker.audit import check_file
    from worker.cli.context import resolve

    try:
        document, found = _read(file)
        faults = check_file.against_evidence(found) + check_file.rewritten(document, found)
        if not offline:
            settings = resolve().settings
            database = wiring.database(settings, connections=1)
            faults += check_file.against_books(found, database, wiring.archive(settings, database))
    except check_file.NoEvidence as error:
        raise CliError(f"{file}: {error}") from error
    if as_json:
        output.print_json({"ok": not faults, "file": str(file), "compared_with_books": not offline, "faults": faults})
    else:
        _say(file, found, faults, offline=offline)
    if faults:
        raise typer.Exit(1)


def _read(file: Path) -> "tuple[bytes, Printed]":
    """Return the file, and the report with its evidence; what is inside counts where there is none beside it."""
    from worker.audit import check_file
    from worker.audit.evidence import SUFFIX, separated

    beside = file.with_name(file.name + SUFFIX)
    try:
        document = file.read_bytes()
        if not beside.exists() and (inside := separated(document)) is not None:
            return document, inside
        return document, check_file.read(document, beside.read_bytes())
    except FileNotFoundError as error:
        raise CliError(f"{error.filename} is not there: `audit check` needs the report and its evidence") from error
    except OSError as error:
        raise CliError(f"{error.filename} cannot be read: {error.strerror}") from error


def _say(file: Path, found: "Printed", faults: list[str], *, offline: bool) -> None:
    console = output.answers()
    for fault in faults:
        console.print(f"  {fault}", markup=False)
    verdict = "NOT OK" if faults else "ok"
    how = "against its evidence alone" if offline else "against its evidence, and regenerated from the ledger"
    asked = f"{found.evidence.get('report')} as of {found.evidence.get('as_of')}"
    console.print(f"{file}: {verdict}, {asked}, checked {how}", markup=False)
