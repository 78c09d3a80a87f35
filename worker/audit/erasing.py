"""Erase prompts and references for good, and keep the books provable (decision 0064)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from psycopg.errors import LockNotAvailable, ObjectInUse
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from worker.archive import jobs, leftovers, rewriting
from worker.archive.parquet import Only
from worker.archive.queries import archived
from worker.archive.queries import leftovers as leftover_queries
from worker.archive.queries import rewriting as rewriting_queries
from worker.archive.queries.rewriting import Order
from worker.archive.reading import ArchiveReader
from worker.audit.queries import erasures, facts
from worker.audit.queries.erasures import ErasureRow, Obstacle, Target
from worker.audit.rules import fact_seal
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.ledger import second_person
from worker.storage import names, thumbnails
from worker.storage.spool import StoreUnavailable
from worker.storage.store import Store

log = structlog.get_logger(__name__)


class NotErasable(DarkroomError):
    """The texts to erase are still needed; nothing was changed."""

    error_code = "not_erasable"

    def __init__(self, target: Target, obstacle: Obstacle) -> None:
        """Keep what was to be erased, and what is in the way."""
        super().__init__(target, obstacle)
        self.target, self.obstacle = target, obstacle

    def __str__(self) -> str:
        """Return the message, with the next step."""
        found, head = self.obstacle, f"{self.target.subject} cannot be erased yet"
        if found.live:
            return (
                f"{head}: {found.live:,} of its jobs have not ended: wait for them, or `darkroom cancel"
                f" {found.batch_id}`"
            )
        if found.in_doubt:
            return f"{head}: {found.in_doubt:,} of its jobs are in doubt: decide with `darkroom resolve` first"
        return (
            f"{head}: the catalog {found.catalog} would render {found.sku} again: import it without that item, or"
            " remove the catalog, first"
        )


class BooksDiffer(DarkroomError):
    """The rows to erase differ from what was sealed; nothing was changed, as an erasure would hide the difference."""

    error_code = "books_differ"

    def __init__(self, seal_id: int, kind: str) -> None:
        """Keep the digest that differs."""
        super().__init__(seal_id, kind)
        self.seal_id, self.kind = seal_id, kind

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"nothing was erased: the facts {self.kind} of seal {self.seal_id} are not as they were sealed, and an"
            " erasure would hide why: `darkroom audit verify` names what differs"
        )


class FilesLeft(DarkroomError):
    """The rows are erased, and files of references are still in the store."""

    error_code = "files_left"

    def __init__(self, error: StoreUnavailable) -> None:
        """Keep why."""
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"everything is erased but files in the store, run the same command again to remove them: {self.error}"


class ErasureBusy(DarkroomError):
    """Other transactions held the rows' locks for longer than the lock timeout."""

    error_code = "erasure_busy"

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return "the books were being sealed, or the batch changed or archived: run the same command again in a moment"


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was erased by one order."""

    erasures: tuple[ErasureRow, ...]
    """One for each transaction; none when everything was erased before."""
    files: int
    """Files that were removed from the store."""


def preview(database: Database, archive: ArchiveReader, target: Target) -> Mapping[str, int]:
    """Return how many rows of each table would be erased; reads the files of an archived batch.

    Raises NotErasable, and for an archived batch ArchiveDamaged, ArchiveUnreadable and ArchiveExtraMissing.
    """
    batch_id = _archived_batch(database, archive, target)
    with database.bulk_transaction() as tx:
        if batch_id is not None:
            archive.load(tx, [batch_id])
        _expect_erasable(tx, target)
        return erasures.count(tx, target)


def erase(
    database: Database,
    store: Store,
    target: Target,
    by: Author,
    *,
    approve_above: int | None,
) -> Erased:
    """Erase the target in transactions of at most 5,000 jobs, an archived one in one, then the files only it needed.

    What was killed is completed by the same order again. Where costly orders need two people, so does this one. Raises
    NotErasable, BooksDiffer, SecondPersonNeeded, ErasureBusy and FilesLeft, and where a batch of the same sealed
    periods is archived ArchiveDamaged, ArchiveUnreadable and ArchiveExtraMissing.
    """
    archive = ArchiveReader(lambda: store)
    batch_id = _archived_batch(database, archive, target)
    if batch_id is not None:
        return _erase_archived(database, store, archive, target, by, batch_id, approve_above=approve_above)
    done: list[ErasureRow] = []
    while (
        found := _erase_next(database, archive, target, by, approve_above=None if done else approve_above)
    ) is not None:
        _log(target, found, by)
        done.append(found)
    with database.transaction() as tx:
        images = erasures.erased_images(tx, target)
        # An archive run that was killed, or is going on, has written the texts as they were.
        with_leftovers = leftover_queries.batch_with(tx, batch_id=target.batch_id, job_id=target.job_id)
    return Erased(erasures=tuple(done), files=_remove_files(database, store, images, with_leftovers))


def _log(target: Target, found: ErasureRow, by: Author) -> None:
    log.info("texts.erased", subject=target.subject, erasure=str(found.id), jobs=found.jobs, by=by.actor)


def _archived_batch(database: Database, archive: ArchiveReader, target: Target) -> UUID | None:
    """Return the archived batch that is the target, or has it; None when its rows are in the tables alone."""
    with database.transaction() as tx:
        found = rewriting_queries.archived_of(tx, batch_id=target.batch_id, job_id=target.job_id)
        if found is not None or target.job_id is None:
            return found
        files = archived.files_of_job(tx, target.job_id)
    job = jobs.read(archive, files, Only(column="id", values=[target.job_id.bytes]))
    return None if job is None else job.batch_id


@contextmanager
def _locking(database: Database) -> Iterator[Connection]:
    """Yield a transaction; raises ErasureBusy when a lock timed out, or the jobs changed since they were chosen."""
    with _busy_said(), database.bulk_transaction() as tx:
        yield tx


@contextmanager
def _busy_said() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | ObjectInUse):
            raise ErasureBusy from error
        raise


def _erase_next(
    database: Database, archive: ArchiveReader, target: Target, by: Author, *, approve_above: int | None
) -> ErasureRow | None:
    """Erase the next jobs of the target in one transaction; None when nothing of it is left."""
    with _locking(database) as tx:
        _expect_erasable(tx, target)
        if not any(erasures.count(tx, target).values()):
            return None
        waits = _second_person(tx, target, by, approve_above)
        if waits is None:
            found = _erase(tx, archive, target, by)
            # The batch is locked by now: had it been archived since it was looked at, its files would keep the texts.
            if rewriting_queries.archived_of(tx, batch_id=target.batch_id, job_id=target.job_id) is not None:
                raise ErasureBusy
            return found
    raise waits


def _second_person(
    tx: Connection, target: Target, by: Author, above: int | None
) -> second_person.SecondPersonNeeded | None:
    return second_person.missing(tx, by, subject=target.subject, request="erase", credits_=None, above=above)


def _erase_archived(
    database: Database,
    store: Store,
    archive: ArchiveReader,
    target: Target,
    by: Author,
    batch_id: UUID,
    *,
    approve_above: int | None,
) -> Erased:
    """Erase the target in the files of an archived batch in one transaction, then remove the files before."""
    rewriting.finish_removal(database, batch_id)
    with _locking(database) as tx:
        rewriting.load(tx, archive, batch_id)
        _expect_erasable(tx, target)
        is_left = any(erasures.count(tx, target).values())
        waits = _second_person(tx, target, by, approve_above) if is_left else None
        done = _rewrite(database, store, tx, target, by, batch_id) if is_left and waits is None else ()
        images = erasures.erased_images(tx, target)
    if waits is not None:
        raise waits
    for each in done:
        _log(target, each, by)
    return Erased(erasures=done, files=_remove_files(database, store, images, batch_id))


def _rewrite(
    database: Database, store: Store, tx: Connection, target: Target, by: Author, batch_id: UUID
) -> tuple[ErasureRow, ...]:
    order = Order(
        subject=target.subject,
        is_whole=target.batch_id is not None,
        actor=by.actor,
        reason=by.reason or "",
        at=rewriting_queries.instant(tx),
    )
    numbers = rewriting.erase(database, store, tx, order, rewriting.span(batch_id, target.job_id))
    _expect_provable(tx, *numbers)
    return tuple(erasures.read(tx, each) for each in numbers)


def _erase(tx: Connection, archive: ArchiveReader, target: Target, by: Author) -> ErasureRow:
    number = erasures.erase(tx, target, erasures.next_jobs(tx, target), actor=by.actor, reason=by.reason or "")
    # The digest of a period is over the rows of all its batches, and some of them may be in the archive.
    if beside := erasures.archived_beside(tx, number):
        archive.load(tx, beside)
    _expect_provable(tx, number)
    return erasures.read(tx, number)


def _expect_erasable(tx: Connection, target: Target) -> None:
    if (obstacle := erasures.obstacle(tx, target)) is not None:
        raise NotErasable(target, obstacle)


def _expect_provable(tx: Connection, *erasure_ids: UUID) -> None:
    """Raise BooksDiffer unless the sealed digests that the erasures touched are still those of the rows."""
    for seal_id, kind in sorted({each for number in erasure_ids for each in erasures.touched(tx, number)}):
        sealed, period = facts.sealed(tx, seal_id)
        was = next(each for each in fact_seal.parse(sealed.digests) if each.kind == kind)
        found = facts.find(tx, kind, period)
        if found.digest != was or found.altered:
            raise BooksDiffer(seal_id, kind)


def _remove_files(database: Database, store: Store, images: Sequence[str], batch_id: UUID | None) -> int:
    """Remove files of a batch's archive that are not recorded, and the erased references with their thumbnails.

    A reference that was submitted again meanwhile stays.
    """
    with database.transaction() as tx:
        images = erasures.still_erased(tx, images)
    try:
        with _busy_said():
            left = leftovers.remove(database, store, batch_id) if batch_id is not None else 0
        return left + sum(
            store.remove(path)
            for sha256 in images
            for path in (names.reference_path(sha256), thumbnails.path_of(sha256))
        )
    except StoreUnavailable as error:
        raise FilesLeft(error) from error
