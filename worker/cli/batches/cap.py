"""`darkroom cap`: how much a batch, or an owner in a month, may commit."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.batches.caps import CapChange
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
    database = wiring.database(resolve().settings, connections=1)
    subject, change = (
        _cap_owner(database, owner, amount, author) if owner else _cap_batch(database, str(batch), amount, author)
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
    database: "Database", name: str, amount: int | None, author: "Author"
) -> tuple[dict[str, str], "CapChange"]:
    from worker.batches import caps
    from worker.cli import lookup
    from worker.cli.errors import CliError

    with database.transaction() as tx:
        row = lookup.one_batch(tx, name)
    try:
        return {"batch": str(row.id)}, caps.cap_batch(database, row.id, amount, author)
    except caps.CapTooLow as error:
        raise CliError(str(error)) from None


def _cap_owner(
    database: "Database", owner: str, amount: int | None, author: "Author"
) -> tuple[dict[str, str], "CapChange"]:
    from worker.batches import caps

    return {"owner": owner}, caps.cap_owner(database, owner, amount, author)


def _print(subject: str, change: "CapChange", *, is_owner: bool) -> None:
    span = " a month" if is_owner else ""
    before, after = (_shown(each, span) for each in (change.before, change.after))
    when = " this month" if is_owner else ""
    text = f"{subject}: {before} before, {after} now; {output.plural(change.committed, 'credit')} committed{when}."
    output.answers().print(text, markup=False)
    if is_owner and change.after is not None and change.committed > change.after:
        output.notes().print("Nothing more of this owner is admitted before the next month.", markup=False)


def _shown(cap: int | None, span: str) -> str:
    return "no cap" if cap is None else f"{output.plural(cap, 'credit')}{span}"
