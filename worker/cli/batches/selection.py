"""Which batches a command means: the one that is named, or all that a filter describes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from worker.batches.rules.selection import Selection
from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError
from worker.core.rules.batch_request import Priority, Purpose


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed: each field is an argument or an option, in the order in which ``--help`` lists them."""

    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name. Or give a filter."
        ),
    ] = None
    owner: Annotated[str | None, typer.Option(help="Filter: batches of this owner.")] = None
    name: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Filter: by name; * stands for any characters, ? for one.")
    ] = None
    purpose: Annotated[Purpose | None, typer.Option(help="Filter: batches of this purpose.")] = None
    priority: Annotated[Priority | None, typer.Option(help="Filter: batches of this class.")] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Filter: submitted then or later: 2026-11-30, or 2026-11-30T18:00:00Z."),
    ] = None
    before: Annotated[str | None, typer.Option(metavar="WHEN", help="Filter: submitted before.")] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With a filter: do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which batches, and the effect.")] = False
    by: signing.ByOption = None
    reason: signing.ReasonOption = None
    as_json: output.AsJson = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is meant: one batch by its name, or else a filter."""

    batch: str | None
    selection: Selection
    yes: bool
    dry_run: bool
    as_json: bool


def choice(typed: Typed) -> Choice:
    """Read it; raise CliError unless it is either one batch or a filter."""
    selection = Selection(
        owner=typed.owner,
        name=typed.name,
        purpose=typed.purpose,
        priority=typed.priority,
        since=_instant("--since", typed.since),
        before=_instant("--before", typed.before),
    )
    if (typed.batch is None) == selection.is_empty:
        raise CliError(
            "say which batches: one by its name, or a filter of --owner, --name, --purpose, --priority, --since and"
            " --before",
            MISUSED,
        )
    return Choice(batch=typed.batch, selection=selection, yes=typed.yes, dry_run=typed.dry_run, as_json=typed.as_json)


def _instant(option: str, text: str | None) -> datetime | None:
    """Read an instant; a day stands for its beginning in UTC."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-30"):
            return datetime.combine(date.fromisoformat(text), time.min, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(f"{option} {text!r} is not a time: write 2026-11-30 or 2026-11-30T18:00:00Z", MISUSED) from None
    if found.tzinfo is None:
        raise CliError(f"{option} {text!r} has no time zone: write {text}Z for UTC", MISUSED)
    return found
