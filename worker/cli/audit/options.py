"""The options that all reports share, and how a person names an instant, a day and a batch."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.audit.rules.reporting import Format
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.core.db.session import Database

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="INSTANT",
        help="An instant such as 2026-11-30T18:00:00Z, or a day for its end (UTC). [default: the books are closed now]",
    ),
]
To = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Write this file, and its evidence beside it. [default: standard output]"),
]
As = Annotated[Format, typer.Option("--format", "-f", help="How it is printed.")]
Owner = Annotated[str | None, typer.Option(help="Only the batches of this owner.")]
Batch = Annotated[str | None, typer.Option(help="Only this batch: its id, token or name.")]
FromDay = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, UTC, such as 2026-11-01.")]
ToDay = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, UTC, such as 2026-11-30.")]


def instant(text: str | None) -> datetime | None:
    """Read an instant; a day stands for its last microsecond."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-30"):
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(
            f"--as-of {text!r} is not a time: write 2026-11-30T18:00:00Z, or 2026-11-30 for the end of that day",
            MISUSED,
        ) from None
    if found.tzinfo is None:
        raise CliError(f"--as-of {text!r} has no time zone: write {text}Z for UTC", MISUSED)
    return found.astimezone(UTC)


def day(option: str, text: str | None) -> date | None:
    """Read a day."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise CliError(f"{option} {text!r} is not a date: write 2026-11-30", MISUSED) from None


def days(first: str | None, last: str | None) -> tuple[date | None, date | None]:
    """Read the first and the last day, which must be in this order."""
    found = day("--from", first), day("--to", last)
    if found[0] is not None and found[1] is not None and found[1] < found[0]:
        raise CliError(f"--to {last} lies before --from {first}", MISUSED)
    return found


def batch_id(database: "Database", name: str | None) -> UUID | None:
    """Return the id of the batch that is meant."""
    from worker.cli import lookup

    if name is None:
        return None
    with database.transaction() as tx:
        return lookup.one_batch(tx, name).id
