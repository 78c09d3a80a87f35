"""The statements that erase texts of archived rows: in rows that were read back, and in the record of their files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.queries import views
from worker.archive.queries.rows import Part
from worker.archive.rules.tables import ArchivedFile

_INSTANT = text("""
    SELECT greatest(clock_timestamp(), (SELECT max(sealed_at) + interval '1 microsecond' FROM seal))""")


def instant(tx: Connection) -> datetime:
    """Return the instant of an erasure: now, and after the last seal."""
    found: datetime = tx.execute(_INSTANT).scalar_one()
    return found


def chosen(tx: Connection, part: Part) -> list[UUID]:
    """Return the jobs of the span that were read back and are not erased."""
    query = text("""
        SELECT j.id FROM pg_temp.archived_job j WHERE j.batch_id = :batch_id AND j.id BETWEEN :first AND :last
            AND j.erased_at IS NULL ORDER BY j.id""")
    return list(tx.execute(query, part.values()).scalars())


def keep(tx: Connection, jobs: Sequence[UUID]) -> None:
    """Copy the rows of these jobs as they were read back."""
    for name, chosen in (
        ("job", "t.id = ANY(:jobs)"),
        ("generation", "t.job_id = ANY(:jobs)"),
        ("call", "t.generation_id IN (SELECT g.id FROM pg_temp.before_generation g)"),
        ("generation_reading", "t.generation_id IN (SELECT g.id FROM pg_temp.before_generation g)"),
        ("credit_entry", "t.generation_id IN (SELECT g.id FROM pg_temp.before_generation g)"),
    ):
        tx.execute(
            text(f"""
            CREATE TEMP TABLE before_{name} ON COMMIT DROP AS
            SELECT t.* FROM pg_temp.archived_{name} t WHERE {chosen}"""),
            {"jobs": list(jobs)},
        )


def erase(tx: Connection, at: datetime) -> None:
    """Erase the texts of the kept rows where they were read back, as the database's own function does."""
    said = f"(erased on {at:%Y-%m-%d})"
    attempts = "SELECT g.id FROM pg_temp.before_generation g"
    for statement in (
        f"UPDATE pg_temp.archived_call SET message = :said WHERE message IS NOT NULL AND generation_id IN ({attempts})",
        f"""
        UPDATE pg_temp.archived_generation_reading SET message = :said
        WHERE message IS NOT NULL AND generation_id IN ({attempts})""",
        f"""
        UPDATE pg_temp.archived_generation SET body = CASE WHEN body IS NOT NULL THEN ''::bytea END,
            error_message = CASE WHEN error_message IS NOT NULL THEN :said END WHERE id IN ({attempts})""",
    ):
        tx.execute(text(statement), {"said": said})
    tx.execute(
        text("""
        UPDATE pg_temp.archived_job SET prompt = :said, extra = '{}', fingerprint = 'erased', salt = NULL,
            erased_at = :at, failure_message = CASE WHEN failure_message IS NOT NULL THEN :said END
        WHERE id IN (SELECT j.id FROM pg_temp.before_job j)"""),
        {"said": said, "at": at},
    )


def used_images(tx: Connection) -> list[str]:
    """Return the references of all archived jobs that are not erased."""
    query = text("""
        SELECT DISTINCT unnest(j.reference_hash || j.further_references) FROM pg_temp.archived_job j
        WHERE j.erased_at IS NULL""")
    return [each for each in tx.execute(query).scalars() if each is not None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is erased of an archived batch, by whom and why."""

    subject: str
    is_whole: bool
    """Whether the whole batch is erased, with its refused lines."""
    actor: str
    reason: str
    at: datetime


def record(tx: Connection, order: Order, part: Part, files: Sequence[ArchivedFile], used_images: Sequence[str]) -> UUID:
    """Record the erasure of the kept jobs of a part, and its new files; ``used_images`` are still needed."""
    schema = views.schema_of(tx)

    def rows(name: str, chosen: str) -> str:
        return f"ARRAY(SELECT ROW(t.*)::{schema}.{name} FROM pg_temp.before_{name} t WHERE {chosen})"

    of_part = "BETWEEN :first AND :last"
    of_attempts = f"t.generation_id IN (SELECT g.id FROM pg_temp.before_generation g WHERE g.job_id {of_part})"
    query = text(f"""
        SELECT {schema}.erase_archived(:subject, :batch_id, :is_whole, :at, {rows("job", f"t.id {of_part}")},
            {rows("generation", f"t.job_id {of_part}")}, {rows("credit_entry", of_attempts)},
            {rows("call", of_attempts)}, {rows("generation_reading", of_attempts)},
            ARRAY(SELECT e.id FROM pg_temp.archived_credit_entry e WHERE e.batch_id = :batch_id),
            CAST(:used AS text[]), CAST(:files AS jsonb), :actor, :reason)""")
    values = {
        **vars(order),
        **part.values(),
        "used": list(used_images),
        "files": json.dumps([vars(each) for each in files], default=str),
    }
    found: UUID = tx.execute(query, values).scalar_one()
    return found


_HOLDS_JOB = text("""
    SELECT a.batch_id FROM archived_batch a
    WHERE a.batch_id = :batch_id OR a.batch_id = (SELECT j.batch_id FROM job j WHERE j.id = :job_id)""")


def archived_of(tx: Connection, *, batch_id: UUID | None, job_id: UUID | None) -> UUID | None:
    """Return the batch if it is archived, or the archived batch of which a job is still in the tables."""
    found: UUID | None = tx.execute(_HOLDS_JOB, {"batch_id": batch_id, "job_id": job_id}).scalar_one_or_none()
    return found
