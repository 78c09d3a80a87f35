"""`darkroom audit` reports, from `statement` to `changes`: what the books say."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.audit.rules.reporting import By, Format, ReportName, SpendBy
from worker.cli.audit import options

if TYPE_CHECKING:
    from worker.core.db.session import Database


def statement(
    by: Annotated[By, typer.Option(help="What it has one line for.")] = By.DAY,
    owner: options.Owner = None,
    batch: options.Batch = None,
    from_: options.FromDay = None,
    to: options.ToDay = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show opening balances, movements and closing balances."""
    first, last = options.days(from_, to)
    _print(ReportName.STATEMENT, as_of, format_, output, batch=batch, by=by, owner=owner, from_day=first, to_day=last)


def outstanding(
    owner: options.Owner = None,
    batch: options.Batch = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show credits that are held or reserved and not settled yet, the oldest first."""
    _print(ReportName.OUTSTANDING, as_of, format_, output, batch=batch, owner=owner)


def spend(
    by: Annotated[SpendBy, typer.Option(help="What it has one line for.")] = SpendBy.BATCH,
    owner: options.Owner = None,
    batch: options.Batch = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show the credits held, reserved, charged and released, per batch or image."""
    _print(ReportName.SPEND, as_of, format_, output, batch=batch, by=by, owner=owner)


def trial_balance(
    owner: options.Owner = None,
    batch: options.Batch = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show the four accounts of each batch and of all, which add up to zero."""
    _print(ReportName.TRIAL_BALANCE, as_of, format_, output, batch=batch, owner=owner)


def job(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="Of the job or of a generation, the provider's id, or an idempotency key."),
    ],
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show the history of one job: request, attempts, ledger entries, files, and outside calls."""
    from worker.audit.queries import job_life
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    database = _database()
    with database.transaction() as tx:
        job_id = job_life.find(tx, name)
    if job_id is None:
        raise CliError(f"nothing is known as {plain(name)!r}: `darkroom results BATCH` lists the ids of jobs")
    _print(ReportName.JOB, as_of, format_, output, database=database, job_id=job_id)


def reconcile(
    near: Annotated[
        int, typer.Option(min=0, help="Seconds around a reading in which an entry may be on its other side.")
    ] = 120,
    top_up_from: Annotated[
        int, typer.Option(min=1, help="The smallest rise that is not ours and counts as a top-up.")
    ] = 100,
    from_: options.FromDay = None,
    to: options.ToDay = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Match changes of the wallet with the ledger, and classify the differences."""
    first, last = options.days(from_, to)
    limits: dict[str, Any] = {"near_s": near, "top_up_from": top_up_from, "from_day": first, "to_day": last}
    _print(ReportName.RECONCILE, as_of, format_, output, **limits)


def export(
    owner: options.Owner = None,
    batch: options.Batch = None,
    from_: options.FromDay = None,
    to: options.ToDay = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.CSV,
    output: options.To = None,
) -> None:
    """Print every entry of the ledger, for a spreadsheet or for plain-text accounting (hledger)."""
    first, last = options.days(from_, to)
    _print(ReportName.EXPORT, as_of, format_, output, batch=batch, owner=owner, from_day=first, to_day=last)


def changes(
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Only subjects that begin with this: batch:ID, owner:NAME, account:NAME, generation:ID.",
        ),
    ] = None,
    as_of: options.AsOf = None,
    format_: options.As = Format.TABLE,
    output: options.To = None,
) -> None:
    """Show who changed or decided what, and why: caps, limits, pauses, doubts, corrections."""
    _print(ReportName.CHANGES, as_of, format_, output, subject=subject)


def _database() -> "Database":
    from worker import wiring
    from worker.cli.context import resolve

    return wiring.database(resolve().settings, connections=1)


def _print(
    report: ReportName,
    as_of: str | None,
    as_format: Format,
    to: Any,
    *,
    database: "Database | None" = None,
    batch: str | None = None,
    **limits: Any,
) -> None:
    from worker import wiring
    from worker.audit.closing import NotClosed, closed_instant
    from worker.audit.evidence import printed
    from worker.audit.rendering import Unfit
    from worker.audit.reports import ReportQuery
    from worker.audit.sealing import LedgerBusy
    from worker.cli.audit import files
    from worker.cli.errors import CliError

    files.refuse_unwritable(as_format, to)
    database = database or _database()
    try:
        instant = closed_instant(database, options.instant(as_of), now=wiring.clock())
        limits["batch_id"] = options.batch_id(database, batch)
        made = printed(database, ReportQuery(report=report, as_of=instant, **limits), as_format)
    except (NotClosed, LedgerBusy, Unfit) as refused:
        raise CliError(str(refused)) from refused
    files.write(made, as_format, to)
