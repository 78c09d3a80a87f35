"""`darkroom audit`: whether the books can be believed, and what they say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.audit.anchors import Anchor
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
    from worker.audit import anchors
    from worker.cli.errors import MISUSED, CliError

    try:
        return anchors.read(paths)
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
