"""`darkroom cap`, `deadline`: how many credits a batch or an owner may commit, and until when a batch may run."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.batches.control import CapChange
    from worker.core.db.changes import Author
    from worker.core.db.session import Database
_NONE = "none"


def cap(
    batch: Annotated[
        str | None,
        typer.Argument(metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name."),
    ] = None,
    credits_: Annotated[
        str | None, typer.Argument(metavar="[N|none]", help="Credits that the batch may commit; none: no cap.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Set an owner's cap instead, as batches name the owner.")] = None,
    monthly: Annotated[
        str | None, typer.Option(metavar="N|none", help="Credits that the owner may commit in a calendar month (UTC).")
    ] = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Set the credit cap of a batch or the monthly cap of an owner; takes effect at once."""
    from worker import wiring
    from worker.cli.context import resolve

    amount = _amount(batch, credits_, owner, monthly)
    author = signing.author(by, reason)
    settings = resolve().settings
    database = wiring.database(settings, connections=1)
    above = settings.approve_above
    subject, change = (
        _cap_owner(database, owner, amount, author, above)
        if owner
        else _cap_batch(database, str(batch), amount, author, above)
    )
    if as_json:
        output.print_json({**subject, "before": change.before, "after": change.after, "committed": change.committed})
    else:
        _print(" ".join(subject.values()), change, is_owner=bool(owner))


def _amount(batch: str | None, credits_: str | None, owner: str | None, monthly: str | None) -> int | None:
    from worker.cli.errors import MISUSED, CliError

    is_batch, is_owner = batch is not None and credits_ is not None, owner is not None and monthly is not None
    if is_batch == is_owner or (is_owner and batch is not None) or (is_batch and (owner or monthly) is not None):
        raise CliError(
            "say which cap: `darkroom cap BATCH N`, or `darkroom cap --owner NAME --monthly N`; N may be none", MISUSED
        )
    text = str(credits_ if is_batch else monthly).replace(",", "").replace("_", "")
    if text == _NONE:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 15:  # noqa: PLR2004 - more than there will ever be
        raise CliError(f"a cap is a whole number of credits, or none, not {text[:40]!r}", MISUSED)
    return int(text)


def _cap_batch(
    database: "Database", name: str, amount: int | None, author: "Author", above: int | None
) -> tuple[dict[str, str], "CapChange"]:
    from worker.batches import control
    from worker.cli import lookup

    with database.transaction() as tx:
        row = lookup.one_batch(tx, name)
    return {"batch": str(row.id)}, control.cap_batch(database, row.id, amount, author, approve_above=above)


def _cap_owner(
    database: "Database", owner: str, amount: int | None, author: "Author", above: int | None
) -> tuple[dict[str, str], "CapChange"]:
    from worker.batches import control

    return {"owner": owner}, control.cap_owner(database, owner, amount, author, approve_above=above)


def _print(subject: str, change: "CapChange", *, is_owner: bool) -> None:
    span = " a month" if is_owner else ""
    before, after = (_cap_shown(each, span) for each in (change.before, change.after))
    when = " this month" if is_owner else ""
    text = f"{subject}: {before} before, {after} now; {output.plural(change.committed, 'credit')} committed{when}."
    output.answers().print(text, markup=False)
    if is_owner and change.after is not None and change.committed > change.after:
        output.notes().print("No further job of this owner starts before next month.", markup=False)


def _cap_shown(cap: int | None, span: str) -> str:
    return "no cap" if cap is None else f"{output.plural(cap, 'credit')}{span}"


_NO_DEADLINE = "none"
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
    from worker.batches import deadlines, views
    from worker.cli import lookup
    from worker.cli.context import resolve

    author = signing.author(by, reason)
    deadline_at = read_deadline(when, now=author.now)
    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    before = deadlines.change(database, row.id, deadline_at, author)
    if as_json:
        output.print_json({"batch": str(row.id), "before": views.instant(before), "after": views.instant(deadline_at)})
    else:
        text = f"batch {row.id}: {_deadline_shown(before)} before, {_deadline_shown(deadline_at)} now."
        output.answers().print(text, markup=False)


def read_deadline(when: str, *, now: datetime) -> datetime | None:
    """Parse a deadline; None for ``none``. Raises CliError for one that cannot be parsed or has passed."""
    from worker.core.rules.batch_request import deadline as parsed
    from worker.core.rules.batch_request import falls_at
    from worker.core.rules.fault import UnfitError

    if when.strip().lower() == _NO_DEADLINE:
        return None
    try:
        found = falls_at(parsed(when), now=now)
    except UnfitError as unfit:
        permitted = f"; write {', '.join(unfit.permitted)} or none" if unfit.permitted else ""
        raise CliError(f"the deadline {unfit.reason}{permitted}", MISUSED) from unfit
    if found <= now:
        raise CliError(f"the deadline {found:%Y-%m-%d %H:%M:%S} UTC has passed already", MISUSED)
    return found


def _deadline_shown(deadline_at: datetime | None) -> str:
    return "no deadline" if deadline_at is None else f"deadline {deadline_at:%Y-%m-%d %H:%M:%S} UTC"
