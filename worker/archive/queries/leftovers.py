"""Notes of files of the archive that no batch is recorded in: which, of which batch, since when."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.rules.tables import ArchivedFile

RUN_AT_MOST = timedelta(days=1)
"""A file that was noted longer ago than this is not being written any more."""

_LOCK = text("SELECT id FROM batch WHERE id = :batch_id FOR NO KEY UPDATE")


def lock(tx: Connection, batch_id: UUID) -> None:
    """Wait until no other transaction rewrites files of the batch, records them, or removes those that were left."""
    tx.execute(_LOCK, {"batch_id": batch_id})


_NOTE = text("""
    INSERT INTO unneeded_file (path, batch_id)
    SELECT n.path, :batch_id FROM unnest(CAST(:paths AS text[])) n (path) ORDER BY n.path
    ON CONFLICT (path) DO UPDATE SET noted_at = excluded.noted_at""")


def note(tx: Connection, batch_id: UUID, files: Sequence[ArchivedFile]) -> None:
    """Note files of one batch, before they are written, so that they are removed if they are never recorded."""
    tx.execute(_NOTE, {"batch_id": batch_id, "paths": [each.path for each in files]})


_UNRECORDED = """
    FROM unneeded_file u WHERE NOT EXISTS (
        SELECT FROM archived_file f WHERE f.batch_id = u.batch_id AND f.path = u.path)"""
_OF_BATCH = text(f"SELECT u.path {_UNRECORDED} AND u.batch_id = :batch_id ORDER BY u.path")


def of_batch(tx: Connection, batch_id: UUID) -> list[str]:
    """Return the noted files of the batch that are not recorded; the batch is locked."""
    return list(tx.execute(_OF_BATCH, {"batch_id": batch_id}).scalars())


_OF_TARGET = text("""
    SELECT DISTINCT u.batch_id FROM unneeded_file u
    WHERE u.batch_id = :batch_id OR u.batch_id = (SELECT j.batch_id FROM job j WHERE j.id = :job_id)""")


def batch_with(tx: Connection, *, batch_id: UUID | None, job_id: UUID | None) -> UUID | None:
    """Return the batch, or that of a job in the tables, if a file of it is noted."""
    found: UUID | None = tx.execute(_OF_TARGET, {"batch_id": batch_id, "job_id": job_id}).scalar_one_or_none()
    return found


_OLD = text(
    f"SELECT DISTINCT u.batch_id {_UNRECORDED} AND u.noted_at < now() - CAST(:age AS interval) ORDER BY u.batch_id"
)


def old(tx: Connection) -> list[UUID]:
    """Return the batches of which a file was noted more than RUN_AT_MOST ago and never recorded."""
    return list(tx.execute(_OLD, {"age": RUN_AT_MOST}).scalars())


# A run that has noted a file may write it after it was looked for here: until it is old, the note stays for the next.
_FORGET = text("""
    DELETE FROM unneeded_file u WHERE u.batch_id = :batch_id
        AND (u.noted_at < now() - CAST(:age AS interval)
            OR EXISTS (SELECT FROM archived_batch a WHERE a.batch_id = u.batch_id))""")


def forget(tx: Connection, batch_id: UUID) -> None:
    """Forget the noted files of an archived batch, and old ones of any; they are removed, or recorded."""
    tx.execute(_FORGET, {"batch_id": batch_id, "age": RUN_AT_MOST})
