"""What was archived: batches with their sums, their files, and the removal of their rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.queries.candidates import CLOSED
from worker.archive.rules.tables import ArchivedFile, Need, folder_of


@dataclass(frozen=True, kw_only=True)
class ArchivedBatch:
    """A batch whose rows are in the store, and its totals, which are known without reading them."""

    batch_id: UUID
    name: str
    owner: str
    archived_at: datetime
    jobs: Mapping[str, int]
    """How many ended in each state."""
    spent: int
    entries: int
    removed_at: datetime | None
    """When its last row was removed from the tables; None: some are still there."""
    files: int
    rows: int
    size_bytes: int

    @property
    def folder(self) -> str:
        """Where its files lie in the store."""
        return folder_of(self.batch_id)


_ADD = text(f"""
    INSERT INTO archived_batch (batch_id, store_id, jobs, spent, entries, last_entry_id, last_posted_at, sealed_until)
    SELECT b.id, :store_id,
        (SELECT jsonb_object_agg(j.state, j.jobs) FROM (
            SELECT state, count(*) AS jobs FROM job WHERE batch_id = b.id GROUP BY state) j),
        coalesce(e.spent, 0), coalesce(e.entries, 0), e.last_entry_id, e.last_posted_at, closed.sealed_at
    FROM batch b LEFT JOIN (
        SELECT batch_id, count(*) AS entries, max(id) AS last_entry_id, max(posted_at) AS last_posted_at,
            sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits ELSE 0 END) AS spent
        FROM credit_entry WHERE batch_id = :batch_id GROUP BY batch_id) e ON e.batch_id = b.id
    LEFT JOIN ({CLOSED}) closed ON true
    WHERE b.id = :batch_id""")
_ADD_FILES = text("""
    INSERT INTO archived_file (batch_id, part, name, path, sha256, size_bytes, rows, rows_sha256, first_job_id,
        last_job_id)
    SELECT f.batch_id, f.part, f.name, f.path, f.sha256, f.size_bytes, f.rows, f.rows_sha256, f.first_job_id,
        f.last_job_id
    FROM json_to_recordset(CAST(:files AS json)) AS f (batch_id uuid, part integer, name text, path text, sha256 text,
        size_bytes bigint, rows bigint, rows_sha256 text, first_job_id uuid, last_job_id uuid)""")


def add(tx: Connection, batch_id: UUID, files: Sequence[ArchivedFile], *, store_id: UUID | None) -> None:
    """Record that the batch is archived in these files; the batch is locked."""
    tx.execute(_ADD, {"batch_id": batch_id, "store_id": store_id})
    tx.execute(_ADD_FILES, {"files": json.dumps([vars(each) for each in files], default=str)})


_REMOVE = text("SELECT remove_archived(:batch_id, :jobs)")


def remove(tx: Connection, batch_id: UUID, *, jobs: int) -> int:
    """Delete at most ``jobs`` jobs of an archived batch and their rows; return how many were deleted."""
    found: int = tx.execute(_REMOVE, {"batch_id": batch_id, "jobs": jobs}).scalar_one()
    return found


_UNREMOVED = text("SELECT batch_id FROM archived_batch WHERE removed_at IS NULL ORDER BY batch_id")


def unremoved(tx: Connection) -> list[UUID]:
    """Return the batches whose removal was cut off."""
    return list(tx.execute(_UNREMOVED).scalars())


_FILE_COLUMNS = "batch_id, part, name, path, sha256, size_bytes, rows, rows_sha256, first_job_id, last_job_id"
_FILES = text(f"SELECT {_FILE_COLUMNS} FROM archived_file WHERE batch_id = ANY(:ids) ORDER BY batch_id, part, path")


def files(tx: Connection, batch_ids: Sequence[UUID]) -> list[ArchivedFile]:
    """Return the files of these batches."""
    return [ArchivedFile(**row) for row in tx.execute(_FILES, {"ids": list(batch_ids)}).mappings()]


# The files of a part all have its first and its last job.
_OF_JOB = text(f"""
    SELECT {_FILE_COLUMNS} FROM archived_file WHERE :id BETWEEN first_job_id AND last_job_id
        AND (CAST(:owner AS text) IS NULL OR EXISTS (SELECT FROM batch b WHERE b.id = batch_id AND b.owner = :owner))
    ORDER BY batch_id, part, path""")
_IS_IN_TABLES = text("SELECT EXISTS (SELECT FROM job WHERE id = :id)")


def files_of_job(tx: Connection, job_id: UUID, *, owner: str | None = None) -> list[ArchivedFile]:
    """Return the files of each part that may have the job; none where its rows are in the tables.

    Only those of one owner's batches, where one is given.
    Ids of jobs rise with time, so that only parts of batches that were submitted at the same time lie over each other.
    """
    if tx.execute(_IS_IN_TABLES, {"id": job_id}).scalar_one():
        return []
    return [ArchivedFile(**row) for row in tx.execute(_OF_JOB, {"id": job_id, "owner": owner}).mappings()]


_LIST = """
    SELECT a.batch_id, b.name, b.owner, a.archived_at, a.jobs, a.spent, a.entries, a.removed_at,
        count(f.path) AS files, coalesce(sum(f.rows), 0)::bigint AS rows,
        coalesce(sum(f.size_bytes), 0)::bigint AS size_bytes
    FROM archived_batch a JOIN batch b ON b.id = a.batch_id LEFT JOIN archived_file f ON f.batch_id = a.batch_id"""
_NEWEST = text(f"{_LIST} GROUP BY a.batch_id, b.id ORDER BY a.archived_at DESC, a.batch_id LIMIT :limit")
_ONE = text(f"{_LIST} WHERE a.batch_id = :id GROUP BY a.batch_id, b.id")


_COUNT = text("SELECT count(*) FROM archived_batch")


def count(tx: Connection) -> int:
    """Return how many batches are archived."""
    found: int = tx.execute(_COUNT).scalar_one()
    return found


def newest(tx: Connection, *, limit: int) -> list[ArchivedBatch]:
    """Return the batches that were archived last, the newest first."""
    return [ArchivedBatch(**row) for row in tx.execute(_NEWEST, {"limit": limit}).mappings()]


_IS_ARCHIVED = text("SELECT EXISTS (SELECT FROM archived_batch WHERE batch_id = :id)")


def is_archived(tx: Connection, batch_id: UUID) -> bool:
    """Return whether the rows of the batch's jobs are in the store, or on their way there."""
    found: bool = tx.execute(_IS_ARCHIVED, {"id": batch_id}).scalar_one()
    return found


def of_batch(tx: Connection, batch_id: UUID) -> ArchivedBatch | None:
    """Return the archived batch; None: its rows are in the tables."""
    row = tx.execute(_ONE, {"id": batch_id}).mappings().one_or_none()
    return None if row is None else ArchivedBatch(**row)


_NEEDED = text("""
    SELECT a.batch_id FROM archived_batch a JOIN batch b ON b.id = a.batch_id
    WHERE (CAST(:owner AS text) IS NULL OR b.owner = :owner)
        AND (CAST(:batch_id AS uuid) IS NULL OR b.id = :batch_id)
        AND (CAST(:after_entry AS bigint) IS NULL OR a.last_entry_id > :after_entry)
        AND (CAST(:after_at AS timestamptz) IS NULL OR a.last_posted_at > :after_at)
        AND (CAST(:job_id AS uuid) IS NULL OR EXISTS (SELECT FROM archived_file f WHERE f.batch_id = a.batch_id
            AND CAST(:job_id AS uuid) BETWEEN f.first_job_id AND f.last_job_id))
    ORDER BY a.batch_id""")


def needed(tx: Connection, need: Need) -> list[UUID]:
    """Return the archived batches that are needed."""
    values: dict[str, Any] = {
        "owner": need.owner,
        "batch_id": need.batch_id,
        "job_id": need.job_id,
        "after_entry": need.after_entry,
        "after_at": need.after,
    }
    return list(tx.execute(_NEEDED, values).scalars())


_ROLLED_UP = text("SELECT coalesce(max(last_entry_id), 0) FROM seal WHERE sealed_at <= :as_of")


def rolled_up_to(tx: Connection, as_of: datetime) -> int:
    """Return the last entry that the sums of whole seals have as of the instant."""
    found: int = tx.execute(_ROLLED_UP, {"as_of": as_of}).scalar_one()
    return found


_GENERATION_FILES = text(f"""
    SELECT {_FILE_COLUMNS} FROM archived_file WHERE name = 'generation' ORDER BY first_job_id DESC""")


def generation_files(tx: Connection) -> list[ArchivedFile]:
    """Return the files in which generations are, the newest first."""
    return [ArchivedFile(**row) for row in tx.execute(_GENERATION_FILES).mappings()]
