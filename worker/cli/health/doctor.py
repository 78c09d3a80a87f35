"""`darkroom doctor`: every part looked at, and what is found in one: a verdict, the reason, and the next step."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from worker.cli import output

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}
_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}


def doctor(
    verify_store: Annotated[
        bool,
        typer.Option(
            "--verify-store",
            help="Instead, read every stored image and reference again and compare it with the database.",
        ),
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --verify-store: check a random sample of N files.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Check database, broker, nodes, store, key, wallet and prices. Spends nothing."""
    from worker.cli.errors import MISUSED, CliError
    from worker.cli.health import store

    if sample is not None and not verify_store:
        raise CliError("--sample goes with --verify-store", MISUSED)
    if verify_store:
        store.verify(sample, as_json=as_json)
    else:
        _examine(as_json=as_json)


def _examine(*, as_json: bool) -> None:
    from dataclasses import asdict

    from rich.text import Text

    from worker.cli.context import resolve
    from worker.cli.health import checks

    found = []
    console = output.answers()
    for finding in checks.examine(resolve(needs_database=False)):
        found.append(finding)
        if as_json:
            continue
        style = _COLOURS[finding.verdict]
        console.print(
            Text.assemble((f"{_MARKS[finding.verdict]} ", style), (f"{finding.part:<12}", "bold"), finding.detail)
        )
        if finding.next_step:
            console.print(Text(f"              next: {finding.next_step}", style=style))
    is_well = all(each.verdict != "failed" for each in found)
    if as_json:
        output.print_json({"ok": is_well, "findings": [asdict(each) for each in found]})
    if not is_well:
        raise typer.Exit(1)


class Verdict(StrEnum):
    """How one part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One checked part, and the finding about it."""

    part: str
    verdict: Verdict
    detail: str
    next_step: str = ""


def ok(part: str, detail: str) -> Finding:
    """Return a part that works."""
    return Finding(part=part, verdict=Verdict.OK, detail=detail)


def warning(part: str, detail: str, next_step: str) -> Finding:
    """Return a part that needs attention."""
    return Finding(part=part, verdict=Verdict.WARNING, detail=detail, next_step=next_step)


def failed(part: str, detail: str, next_step: str) -> Finding:
    """Return a part that stops work."""
    return Finding(part=part, verdict=Verdict.FAILED, detail=detail, next_step=next_step)
