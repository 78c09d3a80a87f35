"""One job of an archived batch: read from the files of its part of the batch alone, within a deadline.

Its few rows become temporary tables, as those of whole batches do for reports, so that the statements of commands and
pages find them.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from psycopg.errors import DatabaseError
from sqlalchemy import Connection

from worker.archive.parquet import ArchiveExtraMissing, NotParquet, Only
from worker.archive.queries import archived, views
from worker.archive.reading import GARBAGE, ArchiveDamaged, ArchiveReader
from worker.archive.rules.tables import BY_NAME, TABLES, ArchivedFile, Column, folder_of
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.storage.spool import StoreUnavailable

T = TypeVar("T")
READ_WITHIN_S = 20.0
"""How long a command or a page waits for the files of one job."""
_AT_ONCE = threading.BoundedSemaphore(4)
"""Jobs that a process reads at one time: a store that hangs keeps no more threads than these."""


class ArchiveUnreadable(DarkroomError):
    """A job may be in the archive, and its files cannot be read now."""

    error_code = "archive_unreadable"

    def __init__(self, batch_id: UUID, reason: str) -> None:
        """Keep whose files they are, and why they cannot be read."""
        super().__init__(batch_id, reason)
        self.batch_id, self.reason = batch_id, reason

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"the jobs of batch {self.batch_id} are archived, and {folder_of(self.batch_id)} of the store cannot be"
            f" read: {self.reason}"
        )


@dataclass(frozen=True, kw_only=True)
class ArchivedJob:
    """The rows of one job as its files have them."""

    id: UUID
    batch_id: UUID
    rows: Mapping[str, tuple[tuple[Column, ...], Sequence[Sequence[Any]]]]
    """By table: its columns, and the job's rows of it."""


@contextmanager
def seeing(
    database: Database, archive: ArchiveReader, job_id: UUID, *, owner: str | None = None
) -> Iterator[Connection]:
    """Yield a snapshot whose statements find the job, whether its rows are in the tables or in the archive.

    They find nothing where there is no such job. The archive is read for one ``owner`` alone, where one is given.
    Raises ArchiveUnreadable.
    """
    with database.transaction(is_snapshot=True) as tx:
        files = archived.files_of_job(tx, job_id, owner=owner)
        if not files:
            yield tx
            return
    found = read(archive, files, Only(column="id", values=[job_id.bytes]))
    with database.transaction(is_snapshot=True) as tx:
        if found is not None:
            show(tx, found)
        yield tx


def by_key(database: Database, archive: ArchiveReader, batch_id: UUID, key: str) -> UUID | None:
    """Return the job of an archived batch that has this key; raises ArchiveUnreadable."""
    with database.transaction() as tx:
        files = [each for each in archived.files(tx, [batch_id]) if each.name == "job"]
    found = read(archive, files, Only(column="key", values=[key]))
    return None if found is None else found.id


def show(tx: Connection, found: ArchivedJob) -> None:
    """Make the job visible to the transaction's statements; raises ArchiveUnreadable."""
    for table in TABLES:
        views.make(tx, table)
    try:
        for name, (columns, rows) in found.rows.items():
            views.fill(tx, BY_NAME[name], columns, rows)
    except DatabaseError as error:
        raise ArchiveUnreadable(found.batch_id, f"a file {GARBAGE}") from error
    views.show(tx)


def read(
    archive: ArchiveReader, files: Sequence[ArchivedFile], only: Only, *, within_s: float = READ_WITHIN_S
) -> ArchivedJob | None:
    """Return the job with the given value from the parts that may hold it; raises ArchiveUnreadable."""
    if not files:
        return None
    return _within(within_s, files[0].batch_id, lambda: _read(archive, files, only))


def _read(archive: ArchiveReader, files: Sequence[ArchivedFile], only: Only) -> ArchivedJob | None:
    for (batch_id, _), found in groupby(files, key=lambda each: (each.batch_id, each.part)):
        by_name = {each.name: each for each in found}
        try:
            job = _of_part(archive, by_name, only)
        except ArchiveDamaged as error:
            raise ArchiveUnreadable(batch_id, str(error)) from error
        except (StoreUnavailable, ArchiveExtraMissing) as error:
            raise ArchiveUnreadable(batch_id, error.explanation()) from error
        except NotParquet as error:
            raise ArchiveUnreadable(batch_id, f"a file {GARBAGE}") from error
        if job is not None:
            return job
    return None


def _of_part(archive: ArchiveReader, files: Mapping[str, ArchivedFile], only: Only) -> ArchivedJob | None:
    """Return the job from the files of one part; those that it needs not are not read."""
    columns, jobs = _some(archive, files["job"], only)
    if not jobs:
        return None
    job_id, rows = _values(columns, jobs, "id")[0], {"job": (columns, jobs)}
    of_job = Only(column="job_id", values=[job_id.bytes])
    for name in files.keys() & {"generation", "result"}:
        rows[name] = _some(archive, files[name], of_job)
    attempts = [each.bytes for each in _values(*rows["generation"], "id")] if "generation" in rows else []
    of_attempts = Only(column="generation_id", values=attempts)
    for name in files.keys() & {"credit_entry", "call", "generation_reading"}:
        if attempts:
            rows[name] = _some(archive, files[name], of_attempts)
    return ArchivedJob(id=job_id, batch_id=files["job"].batch_id, rows=rows)


def _some(archive: ArchiveReader, file: ArchivedFile, only: Only) -> tuple[tuple[Column, ...], Sequence[Sequence[Any]]]:
    columns, rows = archive.read(file, only)
    return columns, list(rows)


def _values(columns: Sequence[Column], rows: Sequence[Sequence[Any]], name: str) -> list[UUID]:
    at = [each.name for each in columns].index(name)
    return [row[at] for row in rows]


def _within(seconds: float, batch_id: UUID, work: Callable[[], T]) -> T:
    """Return what ``work`` does in a thread of its own, which is left alone when it takes longer.

    No wait for a file of a share that hangs can be ended; the thread is a daemon, so that the process can.
    """
    too_long = ArchiveUnreadable(
        batch_id, f"it did not answer within {seconds:g} s: check DARKROOM_STORE, or run `darkroom doctor`"
    )
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.put((None, error))
        finally:
            _AT_ONCE.release()

    if not _AT_ONCE.acquire(timeout=seconds):
        raise too_long
    threading.Thread(target=run, name="archive-read", daemon=True).start()
    try:
        found, error = done.get(timeout=seconds)
    except queue.Empty:
        raise too_long from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]  # without an error it is what the work returned
