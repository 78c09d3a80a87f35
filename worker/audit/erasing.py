"""Erase prompts and references for good, and keep the books provable (decision 0064)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from worker.archive.queries import archived
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
    """Something would use what is to be erased once more; nothing was changed."""

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


class TextsArchived(DarkroomError):
    """The rows are in the archive, whose files are never written anew; nothing was changed."""

    error_code = "texts_archived"

    def __init__(self, batch_id: UUID) -> None:
        """Keep the batch."""
        super().__init__(batch_id)
        self.batch_id = batch_id

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"batch {self.batch_id} is archived, and nothing of it can be erased: its files stay as they were written."
            " Erase what has to go before it is archived (docs/privacy.md)"
        )


class BooksDiffer(DarkroomError):
    """What is to be erased is not as it was sealed; nothing was changed, since it would hide the difference."""

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
        return "the books are being sealed, or the batch is being changed: run the same command again in a moment"


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was erased by one order."""

    erasures: tuple[ErasureRow, ...]
    """One for each transaction; none when everything was erased before."""
    files: int
    """Files that were removed from the store."""


def expect_not_archived(tx: Connection, batch_id: UUID) -> None:
    """Raise TextsArchived when the rows of the batch's jobs are in the archive, or on their way there."""
    if archived.is_archived(tx, batch_id):
        raise TextsArchived(batch_id)


def preview(database: Database, target: Target) -> Mapping[str, int]:
    """Return how many rows of each table would be erased; raises NotErasable and TextsArchived."""
    with database.transaction() as tx:
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
    """Erase the target in transactions of at most 5,000 jobs, then the files that only it needed.

    What was killed is completed by the same order again. Where costly orders need two people, so does this one. Raises
    NotErasable, TextsArchived, BooksDiffer, SecondPersonNeeded, ErasureBusy and FilesLeft.
    """
    done: list[ErasureRow] = []
    while (found := _erase_next(database, target, by, approve_above=None if done else approve_above)) is not None:
        log.info("texts.erased", subject=target.subject, erasure=str(found.id), jobs=found.jobs, by=by.actor)
        done.append(found)
    return Erased(erasures=tuple(done), files=_remove_files(database, store, target))


def _erase_next(database: Database, target: Target, by: Author, *, approve_above: int | None) -> ErasureRow | None:
    """Erase the next jobs of the target in one transaction; None when nothing of it is left."""
    try:
        with database.bulk_transaction() as tx:
            _expect_erasable(tx, target)
            if not any(erasures.count(tx, target).values()):
                return None
            waits = second_person.missing(
                tx, by, subject=target.subject, request="erase", credits_=None, above=approve_above
            )
            if waits is None:
                return _erase(tx, target, by)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise ErasureBusy from error
        raise
    raise waits


def _erase(tx: Connection, target: Target, by: Author) -> ErasureRow:
    jobs = erasures.next_jobs(tx, target)
    number = erasures.erase(tx, target, jobs, actor=by.actor, reason=by.reason or "")
    _expect_provable(tx, number)
    return erasures.read(tx, number)


def _expect_erasable(tx: Connection, target: Target) -> None:
    if target.batch_id is not None:
        expect_not_archived(tx, target.batch_id)
    if (obstacle := erasures.obstacle(tx, target)) is not None:
        raise NotErasable(target, obstacle)


def _expect_provable(tx: Connection, erasure_id: UUID) -> None:
    """Raise BooksDiffer unless the sealed digests that the erasure touched are still those of the rows."""
    for seal_id, kind in erasures.touched(tx, erasure_id):
        sealed, period = facts.sealed(tx, seal_id)
        was = next(each for each in fact_seal.parse(sealed.digests) if each.kind == kind)
        found = facts.find(tx, kind, period)
        if found.digest != was or found.altered:
            raise BooksDiffer(seal_id, kind)


def _remove_files(database: Database, store: Store, target: Target) -> int:
    """Remove the files of erased references and their thumbnails; one that was submitted again meanwhile stays."""
    with database.transaction() as tx:
        images = erasures.erased_images(tx, target)
    try:
        return sum(
            store.remove(path)
            for sha256 in images
            for path in (names.reference_path(sha256), thumbnails.path_of(sha256))
        )
    except StoreUnavailable as error:
        raise FilesLeft(error) from error
