"""Which batches a command means: the one that is named, or all that a filter describes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from worker.cli.errors import MISUSED, CliError
from worker.domain.batch_request import Priority, Purpose
from worker.domain.selection import Selection

BatchArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name. Or give a filter."
    ),
]
OwnerOption = Annotated[str | None, typer.Option(help="Filter: batches of this owner.")]
NameOption = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Filter: by name; * stands for any characters, ? for one.")
]
PurposeOption = Annotated[Purpose | None, typer.Option(help="Filter: batches of this purpose.")]
PriorityOption = Annotated[Priority | None, typer.Option(help="Filter: batches of this class.")]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Filter: submitted then or later: 2026-11-30, or 2026-11-30T18:00:00Z."),
]
BeforeOption = Annotated[str | None, typer.Option(metavar="WHEN", help="Filter: submitted before.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="With a filter: do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show which batches, and the effect.")]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was typed: one batch by its name, or else a filter."""

    batch: str | None
    selection: Selection
    yes: bool
    dry_run: bool
    as_json: bool


def choice(
    batch: str | None,
    *,
    owner: str | None,
    name: str | None,
    purpose: Purpose | None,
    priority: Priority | None,
    since: str | None,
    before: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> Choice:
    """Read it; raise CliError unless it is either one batch or a filter."""
    selection = Selection(
        owner=owner,
        name=name,
        purpose=purpose,
        priority=priority,
        since=_instant("--since", since),
        before=_instant("--before", before),
    )
    if (batch is None) == selection.is_empty:
        raise CliError(
            "say which batches: one by its name, or a filter of --owner, --name, --purpose, --priority, --since and"
            " --before",
            MISUSED,
        )
    return Choice(batch=batch, selection=selection, yes=yes, dry_run=dry_run, as_json=as_json)


def _instant(option: str, text: str | None) -> datetime | None:
    """Read an instant; a day stands for its beginning in UTC."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-30"):
            return datetime.combine(date.fromisoformat(text), time.min, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(f"{option} {text!r} is no instant: write 2026-11-30 or 2026-11-30T18:00:00Z", MISUSED) from None
    if found.tzinfo is None:
        raise CliError(f"{option} {text!r} has no time zone: write {text}Z for UTC", MISUSED)
    return found
