"""`darkroom erase`: what a prompt or a reference image said is removed for good; the books stay provable."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.archive.reading import ArchiveReader
    from worker.audit.erasing import Erased
    from worker.audit.queries.erasures import Target
    from worker.core.db.session import Database

_SHA256_DIGITS = 64


def erase(
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID|KEY", help="One job: its id, or with --batch its key.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="BATCH", help="A whole batch, or the batch of --job KEY.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="FILE|SHA256", help="A reference image: a copy of it, or its SHA-256."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; what is erased cannot be restored.")] = False,
    by: signing.ByOption = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why. Required.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Erase prompts, their copies and references for good; the books stay provable.

    Only what has ended is erased; files of the archive are written anew. Ids, keys, times, credits and the images
    that were made stay. docs/privacy.md says what is erased, and what this command cannot reach: backups, logs, the
    provider.
    """
    from worker import wiring
    from worker.audit import erasing
    from worker.cli.context import opened

    if (job or batch or reference) is None or (reference is not None and (job or batch) is not None):
        raise CliError("choose one: --job ID, --batch BATCH with or without --job KEY, or --reference SHA256", MISUSED)
    why = signing.text(reason or "")
    context, database = opened()
    archive = wiring.archive(context.settings, database)
    if reference is None:
        target = _named(database, archive, job, batch)
    else:
        with database.transaction() as tx:
            target = _image(tx, reference)
    counts = erasing.preview(database, archive, target)
    if dry_run:
        _show(target.subject, counts, as_json=as_json)
        return
    if not yes:
        _ask(target.subject, counts)
    store, by_whom = wiring.store(context.settings, database), signing.author(by, why)
    done = erasing.erase(database, store, target, by_whom, approve_above=context.settings.approve_above)
    _answer(target.subject, done, as_json=as_json)


def _named(database: "Database", archive: "ArchiveReader", job: str | None, batch: str | None) -> "Target":
    """Return the job or the batch that is meant, wherever its rows are; raise CliError."""
    from worker.archive import jobs
    from worker.archive.queries import archived
    from worker.audit.queries import journal
    from worker.audit.queries.erasures import Target
    from worker.batches.queries import explaining
    from worker.cli import lookup
    from worker.core.rules.fault import plain

    if batch is None:
        assert job is not None
        with database.transaction() as tx:
            job_id = journal.find_job(tx, job)
        if job_id is None and (job_id := _archived(database, archive, job, None)) is None:
            raise CliError(f"no job has the id {plain(job)!r}: give the batch of a key with --batch")
        return Target(subject=f"job:{job_id}", job_id=job_id)
    with database.transaction() as tx:
        row = lookup.one_batch(tx, batch)
        if job is None:
            return Target(subject=f"batch:{row.id}", batch_id=row.id)
        job_id = explaining.by_key(tx, row.id, job) or _of_batch(tx, job, row.id)
        is_archived = archived.is_archived(tx, row.id)
    if job_id is None and is_archived:
        job_id = jobs.by_key(database, archive, row.id, job) or _archived(database, archive, job, row.id)
    if job_id is None:
        raise CliError(f"batch {row.id} has no job {plain(job)!r}: `darkroom results {row.id}` lists its keys")
    return Target(subject=f"job:{job_id}", job_id=job_id)


def _archived(database: "Database", archive: "ArchiveReader", job: str, batch_id: UUID | None) -> UUID | None:
    """Return the archived job with this id, of any batch or of one."""
    from worker.archive import jobs
    from worker.archive.parquet import Only
    from worker.archive.queries import archived

    try:
        job_id = UUID(job)
    except ValueError:
        return None
    with database.transaction() as tx:
        files = archived.files_of_job(tx, job_id)
    found = jobs.read(archive, files, Only(column="id", values=[job_id.bytes]))
    return job_id if found is not None and batch_id in {None, found.batch_id} else None


def _of_batch(tx: "Connection", job: str, batch_id: UUID) -> UUID | None:
    """Return the job with this id if it is one of the batch."""
    from worker.audit.queries import journal
    from worker.batches.queries import explaining

    found = journal.find_job(tx, job)
    row = None if found is None else explaining.job(tx, found, ahead_most=0)
    return found if row is not None and row.batch_id == batch_id else None


def _image(tx: "Connection", given: str) -> "Target":
    """Return the reference that is meant; raise CliError."""
    from hashlib import file_digest

    from worker.audit.queries.erasures import Target
    from worker.core.rules.fault import plain
    from worker.storage.queries import references

    sha256, path = given.lower(), Path(given)
    if path.is_file():
        with path.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
    elif len(sha256) != _SHA256_DIGITS or set(sha256) - set("0123456789abcdef"):
        raise CliError(f"{plain(given)!r} is neither a file nor the SHA-256 of one", MISUSED)
    if not references.is_known(tx, sha256):
        raise CliError(f"no reference has the SHA-256 {sha256}: `darkroom audit job JOB` shows those of a job")
    return Target(subject=f"reference:{sha256}", image=sha256)


def _ask(subject: str, counts: Mapping[str, int]) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError("nothing was erased: look with --dry-run, then add --yes; it cannot be restored", MISUSED)
    output.notes().print(_line(subject, counts), markup=False)
    if not typer.confirm("Erase it for good?", default=False, err=True):
        raise CliError("nothing was erased")


def _line(subject: str, counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{count:,} of {table}" for table, count in counts.items() if count)
    return f"{subject}: would erase {shown}." if shown else f"{subject}: nothing is left to erase."


def _show(subject: str, counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"subject": subject, "would_erase": dict(counts)})
    else:
        output.answers().print(_line(subject, counts), markup=False)


def _answer(subject: str, done: "Erased", *, as_json: bool) -> None:
    if as_json:
        shown = [vars(each) for each in done.erasures]
        output.print_json({"subject": subject, "erasures": shown, "files_removed": done.files})
        return
    jobs, images = sum(each.jobs for each in done.erasures), sum(each.reference_images for each in done.erasures)
    sealed = sum(each.sealed_rows for each in done.erasures)
    said = f"{subject}: erased {output.plural(jobs, 'job')} and {output.plural(images, 'reference image')};"
    said += f" {output.plural(sealed, 'sealed row')} changed, {output.plural(done.files, 'file')} removed"
    output.answers().print(
        said if done.erasures or done.files else f"{subject}: nothing was left to erase", markup=False
    )
