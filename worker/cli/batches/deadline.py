"""`darkroom deadline`: when what has not ended of a batch is ended."""

from datetime import datetime
from typing import Annotated

import typer

from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError

_NONE = "none"
DeadlineOption = Annotated[
    str | None,
    typer.Option(
        "--deadline",
        metavar="WHEN",
        help="When unfinished jobs are ended: 90s, 30m, 6h, 2d, or 2026-11-30T18:00:00Z.",
    ),
]


def deadline(
    batch: output.BatchName,
    when: Annotated[
        str, typer.Argument(metavar="WHEN|none", help="From now: 90s, 30m, 6h, 2d; or 2026-11-30T18:00:00Z; or none.")
    ],
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Set or remove a batch's deadline. Jobs that an earlier deadline ended stay ended; see `retry`."""
    from worker import wiring
    from worker.batches import deadlines
    from worker.cli import lookup
    from worker.cli.context import resolve

    author = signing.author(by, reason)
    deadline_at = read(when, now=author.now)
    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    before = deadlines.change(database, row.id, deadline_at, author)
    if as_json:
        output.print_json(
            {"batch": str(row.id), "before": lookup.instant(before), "after": lookup.instant(deadline_at)}
        )
    else:
        text = f"batch {row.id}: {_shown(before)} before, {_shown(deadline_at)} now."
        output.answers().print(text, markup=False)


def read(when: str, *, now: datetime) -> datetime | None:
    """Return the instant that is meant; None for none. Raises CliError for one that cannot be read or has passed."""
    from worker.core.rules.deadline import deadline as parsed
    from worker.core.rules.deadline import falls_at
    from worker.core.rules.fault import UnfitError

    if when.strip().lower() == _NONE:
        return None
    try:
        found = falls_at(parsed(when), now=now)
    except UnfitError as unfit:
        permitted = f"; write {', '.join(unfit.permitted)} or none" if unfit.permitted else ""
        raise CliError(f"the deadline {unfit.reason}{permitted}", MISUSED) from unfit
    if found <= now:
        raise CliError(f"the deadline {found:%Y-%m-%d %H:%M:%S} UTC has passed already", MISUSED)
    return found


def _shown(deadline_at: datetime | None) -> str:
    return "no deadline" if deadline_at is None else f"deadline {deadline_at:%Y-%m-%d %H:%M:%S} UTC"
