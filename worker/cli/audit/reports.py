"""`darkroom audit` reports, from `statement` to `changes`, and the options that they share."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from worker.audit.rules.reporting import By, Format, ReportName, SpendBy
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.archive.reading import ArchiveReader
    from worker.archive.rules.tables import ArchivedFile
    from worker.cli.context import Context
    from worker.core.db.session import Database
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="INSTANT",
        help="An instant such as 2026-11-30T18:00:00Z, or a day for its end (UTC). [default: now]",
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


def statement(
    by: Annotated[By, typer.Option(help="What each line stands for.")] = By.DAY,
    owner: Owner = None,
    batch: Batch = None,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show opening balances, movements and closing balances."""
    first, last = days(from_, to)
    _print(ReportName.STATEMENT, as_of, format_, output, batch=batch, by=by, owner=owner, from_day=first, to_day=last)


def outstanding(
    owner: Owner = None,
    batch: Batch = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show credits that are held or reserved and not settled yet, the oldest first."""
    _print(ReportName.OUTSTANDING, as_of, format_, output, batch=batch, owner=owner)


def spend(
    by: Annotated[SpendBy, typer.Option(help="What each line stands for.")] = SpendBy.BATCH,
    owner: Owner = None,
    batch: Batch = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show the credits held, reserved, charged and released, per batch or image."""
    _print(ReportName.SPEND, as_of, format_, output, batch=batch, by=by, owner=owner)


def trial_balance(
    owner: Owner = None,
    batch: Batch = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show the four accounts of each batch and of all, which add up to zero."""
    _print(ReportName.TRIAL_BALANCE, as_of, format_, output, batch=batch, owner=owner)


def job(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="Of the job or of a generation, the provider's id, or an idempotency key."),
    ],
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show the history of one job: request, attempts, ledger entries, files, and outside calls."""
    from worker import wiring
    from worker.archive.queries import archived
    from worker.audit.queries import journal
    from worker.cli.context import opened
    from worker.core.rules.fault import plain

    found = context, database = opened()
    with database.transaction() as tx:
        job_id = journal.find_job(tx, name)
        files = archived.generation_files(tx) if job_id is None else []
    if files:
        job_id = _archived_job(wiring.archive(context.settings, database), database, files, name)
    if job_id is None:
        raise CliError(f"nothing found for {plain(name)!r}: `darkroom results BATCH` lists the ids of jobs")
    _print(ReportName.JOB, as_of, format_, output, found=found, job_id=job_id)


def reconcile(
    near: Annotated[
        int,
        typer.Option(
            min=0, help="Seconds before and after a wallet reading in which an entry may count on either side."
        ),
    ] = 120,
    top_up_from: Annotated[
        int, typer.Option(min=1, help="The smallest rise that is not ours and counts as a top-up.")
    ] = 100,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Match changes of the wallet with the ledger, and classify the differences."""
    first, last = days(from_, to)
    limits: dict[str, Any] = {"near_s": near, "top_up_from": top_up_from, "from_day": first, "to_day": last}
    _print(ReportName.RECONCILE, as_of, format_, output, **limits)


def export(
    owner: Owner = None,
    batch: Batch = None,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    format_: As = Format.CSV,
    output: To = None,
) -> None:
    """Print every entry of the ledger, for a spreadsheet or for plain-text accounting (hledger)."""
    first, last = days(from_, to)
    _print(ReportName.EXPORT, as_of, format_, output, batch=batch, owner=owner, from_day=first, to_day=last)


def changes(
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Only subjects that begin with this: batch:ID, owner:NAME, account:NAME, generation:ID.",
        ),
    ] = None,
    as_of: AsOf = None,
    format_: As = Format.TABLE,
    output: To = None,
) -> None:
    """Show who changed or decided what, and why: caps, limits, pauses, doubts, corrections."""
    _print(ReportName.CHANGES, as_of, format_, output, subject=subject)


def _archived_job(
    archive: "ArchiveReader", database: "Database", files: "list[ArchivedFile]", name: str
) -> UUID | None:
    """Return the job that is meant among those that were archived."""
    from worker.archive.queries import archived
    from worker.archive.rules.tables import Need

    try:
        job_id = UUID(name)
    except ValueError:
        job_id = None
    found = archive.find_job(files, name)
    if found is None and job_id is not None:
        with database.transaction() as tx:
            return job_id if archived.needed(tx, Need(job_id=job_id)) else None
    return found


def _print(
    report: ReportName,
    as_of: str | None,
    as_format: Format,
    to: Any,
    *,
    found: "tuple[Context, Database] | None" = None,
    batch: str | None = None,
    **limits: Any,
) -> None:
    from worker import wiring
    from worker.audit.evidence import printed
    from worker.audit.reports import ReportQuery
    from worker.audit.sealing import closed_instant
    from worker.cli import signing
    from worker.cli.audit import files
    from worker.cli.context import opened

    files.refuse_unwritable(as_format, to)
    context, database = found or opened()
    instant = closed_instant(database, parse_instant(as_of), now=wiring.clock())
    limits["batch_id"] = batch_id(database, batch)
    archive = wiring.archive(context.settings, database)
    made = printed(database, ReportQuery(report=report, as_of=instant, **limits), as_format, archive)
    if to is not None or as_format is not Format.TABLE:
        of = "".join(f", {name} {value}" for name, value in limits.items() if value is not None)
        signing.record_export(database, f"report:{report.value}", f"{as_format.value} as of {instant.isoformat()}{of}")
    files.write(made, as_format, to)


def parse_instant(text: str | None) -> datetime | None:
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
    """Return the id of the given batch."""
    from worker.cli import lookup

    if name is None:
        return None
    with database.transaction() as tx:
        return lookup.one_batch(tx, name).id
