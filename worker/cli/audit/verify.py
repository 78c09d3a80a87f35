"""`darkroom audit`, `audit check`: whether the books, or a printed report, can be believed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.errors import CliError

if TYPE_CHECKING:
    from worker.audit.chain import Anchor
    from worker.audit.evidence import Printed
    from worker.audit.verify import Verification


def verify(
    anchor: Annotated[
        list[Path] | None,
        typer.Option(
            "--anchor",
            metavar="FILE",
            help="Evidence, a folder of it, or a log: the chain must have its seals.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check, not only broken ones.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Check the invariants of the ledger and of job states; exit status 1 if one is violated."""
    from worker import wiring
    from worker.audit.verify import verify as prove
    from worker.cli.context import resolve

    known = _anchors(anchor or [])
    settings = resolve().settings
    database = wiring.database(settings, connections=2)
    archive = wiring.archive(settings, database)
    with database.bulk_transaction(is_snapshot=True) as tx:
        found = prove(tx, known=known, archive=archive)
    if as_json:
        checks = [vars(each) | {"ok": each.ok} for each in found.checks]
        output.print_json({"ok": found.ok, "checks": checks, "totals": dict(found.totals)})
    else:
        _print(found, verbose=verbose)
    if not found.ok:
        raise typer.Exit(1)


def _anchors(paths: list[Path]) -> "list[Anchor]":
    from worker.audit import chain
    from worker.cli.errors import MISUSED

    try:
        return chain.read_anchors(paths)
    except OSError as error:
        raise CliError(f"{error.filename} cannot be read: {error.strerror}", MISUSED) from None


def last_line(found: "Verification") -> str:
    """The verdict in one line."""
    verdict = "ok" if found.ok else "NOT OK"
    checks = output.plural(len(found.checks), "check")
    broken = sum(not check.ok for check in found.checks)
    failed = f", {broken} broken" if broken else ""
    spent, held, reserved = (found.totals[name] for name in ("spent", "held", "reserved"))
    money = f"{output.plural(spent, 'credit')} spent, {held:,} held, {reserved:,} reserved"
    return f"audit: {verdict}, {checks}{failed}, {money}"


def _print(found: "Verification", *, verbose: bool) -> None:
    from rich.text import Text

    shown = [check for check in found.checks if verbose or not check.ok]
    table = output.table("", "check", "rule", "broken", numbers=("broken",), details=("rule",))
    for check in shown:
        mark = Text("✓", style="green") if check.ok else Text("✗", style="red")
        table.add_row(mark, check.name, Text(check.rule), f"{check.broken:,}" if check.broken else "")
    console = output.answers()
    if shown:
        console.print(table)
    for check in shown:
        for label, found_rows in ((check.name, check.examples), (f"{check.name}, permitted", check.notes)):
            for row in found_rows:
                values = ", ".join(f"{name}={value}" for name, value in row.items())
                console.print(f"  {label}: {values}", markup=False)
    console.print(Text(last_line(found), style="bold green" if found.ok else "bold red"))


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
