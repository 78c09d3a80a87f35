"""Archive one batch: write its rows into the store, read them back, record the files, remove the rows.

Each step may be the last of a killed process: a file is noted before it is written, so that what was left is written
again or removed, and a removal that was cut off goes on with the next run.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.archive import leftovers, parquet
from worker.archive.queries import archived, candidates, rows, views
from worker.archive.queries.rows import Digest, Part
from worker.archive.rules.candidates import Obstacle
from worker.archive.rules.tables import BY_NAME, JOBS_PER_PART, TABLES, ArchivedFile, ArchivedTable, path_of
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.storage.spool import NotStored
from worker.storage.store import Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

JOBS_PER_REMOVAL = 2_000
"""Jobs whose rows one transaction removes: some 20,000 rows."""


class NotAsWritten(DarkroomError):
    """The file that was read back, or the rows in the tables since, differ from what was written."""

    error_code = "archive_not_as_written"

    def __init__(self, path: str, what: str) -> None:
        """Keep the file and what differs."""
        super().__init__(path, what)
        self.path, self.what = path, what

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"{self.path}: {self.what}; nothing was removed: run `darkroom archive` again"


def archive(database: Database, store: Store, batch_id: UUID) -> Obstacle | None:
    """Archive a batch; return the obstacle that arose since it was chosen, None when it is archived."""
    parquet.require()
    files = _write(database, store, batch_id)
    try:
        obstacle = _record(database, store, batch_id, files)
    except NotAsWritten:
        _remove_leftovers(database, store, batch_id, files)
        raise
    if obstacle is None:
        remove(database, batch_id)
    _remove_leftovers(database, store, batch_id, files if obstacle is not None else ())
    return obstacle


def _record(database: Database, store: Store, batch_id: UUID, files: Sequence[ArchivedFile]) -> Obstacle | None:
    with database.bulk_transaction() as tx:
        obstacle = candidates.lock(tx, batch_id)
        if obstacle is not None:
            return obstacle
        # Another run may have archived it since it was chosen; it removes the rows, and so does this one.
        if archived.is_archived(tx, batch_id):
            return None
        for each in files:
            _expect(each, _digest(tx, each), "its rows have changed since they were written")
            _there(store.size, each.path)
        archived.add(tx, batch_id, files, store_id=store.identity)
    log.info("batch.archived", batch=str(batch_id), files=len(files), bytes=sum(each.size_bytes for each in files))
    return None


def _remove_leftovers(database: Database, store: Store, batch_id: UUID, files: Sequence[ArchivedFile]) -> None:
    """Remove these files of a batch that was not archived in them, and those that a killed run left."""
    if files:
        leftovers.note(database, batch_id, files)
    leftovers.remove(database, store, batch_id)


def remove(database: Database, batch_id: UUID) -> None:
    """Remove the rows of an archived batch, some jobs at a time."""
    while True:
        with database.transaction() as tx:
            if not archived.remove(tx, batch_id, jobs=JOBS_PER_REMOVAL):
                break
    log.info("batch.removed", batch=str(batch_id))


def _write(database: Database, store: Store, batch_id: UUID) -> list[ArchivedFile]:
    found: list[ArchivedFile] = []
    after, number = UUID(int=0), 0
    while True:
        with database.transaction() as tx:
            part = rows.next_part(tx, batch_id, after=after, jobs=JOBS_PER_PART)
        if part is None:
            return found
        for table in TABLES:
            file = _write_file(database, store, table, part, number)
            if file is not None:
                found.append(file)
        after, number = part.last, number + 1


def _write_file(database: Database, store: Store, table: ArchivedTable, part: Part, number: int) -> ArchivedFile | None:
    """Store the rows that the table has of the part, and prove them as they come back; None when there are none."""
    with database.bulk_transaction(is_snapshot=True) as tx:
        names = rows.columns(tx, table.name)
        digest = rows.digest(tx, table, part, names)
        if not digest.rows:
            return None
        content = parquet.encode(names, rows.read(tx, table, part, names))
    file = file_of(table, part, number, digest, content)
    leftovers.note(database, part.batch_id, [file])
    store_file(database, store, file, content)
    return file


def file_of(table: ArchivedTable, part: Part, number: int, digest: Digest, content: bytes) -> ArchivedFile:
    """Return the record of a file with this content, which is in its name; ``number`` is that of the part."""
    sha256 = hashlib.sha256(content).hexdigest()
    return ArchivedFile(
        batch_id=part.batch_id,
        part=number,
        name=table.name,
        path=path_of(part.batch_id, number, table.name, sha256),
        sha256=sha256,
        size_bytes=len(content),
        rows=digest.rows,
        rows_sha256=digest.sha256,
        first_job_id=part.first,
        last_job_id=part.last,
    )


def store_file(database: Database, store: Store, file: ArchivedFile, content: bytes) -> None:
    """Store a file, read it back and compare it; raises NotAsWritten."""
    store.put_new(file.path, content, content_type="application/vnd.apache.parquet")
    table, content = BY_NAME[file.name], _there(store.read, file.path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise NotAsWritten(file.path, "the store gives other bytes than it was given")
    names, found = parquet.decode(content)
    with database.bulk_transaction() as tx:
        views.make(tx, table)
        views.fill(tx, table, names, found)
        _expect(file, rows.digest_of(tx, table, names, views.source_of(table)), "the file gives other rows")


def _there(ask: Callable[[str], T], path: str) -> T:
    """Return what the store says of the file; raises NotAsWritten when it is gone."""
    try:
        return ask(path)
    except NotStored as error:
        # An erasure, or a run on another machine, has taken it for one that was left.
        raise NotAsWritten(path, "it was removed since it was written") from error


def _digest(tx: Connection, file: ArchivedFile) -> Digest:
    table = BY_NAME[file.name]
    part = Part(batch_id=file.batch_id, first=file.first_job_id, last=file.last_job_id)
    return rows.digest(tx, table, part, rows.columns(tx, table.name))


def _expect(file: ArchivedFile, found: Digest, what: str) -> None:
    if (found.rows, found.sha256) != (file.rows, file.rows_sha256):
        raise NotAsWritten(file.path, what)
