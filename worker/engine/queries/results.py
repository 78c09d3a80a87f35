"""Results, and paid images that are not downloaded yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.statements import Row, StatementPart
from worker.engine.queries import steps
from worker.engine.rules.give_up import NotDownloaded


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image that is in the store and passed its checks."""

    path: str
    sha256: str
    size_bytes: int
    mime_type: str
    width: int
    height: int
    frames: int = 1
    not_as_ordered: tuple[str, ...] = ()
    """In what it differs from what was ordered."""
    store_id: UUID | None = None
    """Identity of the store that it was put into; None: unknown."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The image of a job, and where it came from."""

    job_id: UUID
    generation_id: UUID
    source_url: str
    stored: Stored


ADD = StatementPart(
    name="added",
    columns="""job_id uuid, generation_id uuid, source_url text, path text, sha256 text, size_bytes bigint,
        mime_type text, width int, height int, frames int, not_as_ordered text[], store_id uuid,
        stored_at timestamptz""",
    sql="""
        INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height,
                            frames, not_as_ordered, store_id, stored_at)
        SELECT * FROM {rows}""",
)


def adding(found: Result, *, now: datetime) -> Row:
    """Return the row for ``ADD``."""
    return {
        "job_id": found.job_id,
        "generation_id": found.generation_id,
        "source_url": found.source_url,
        **vars(found.stored),
        "stored_at": now,
    }


_IS_WHOLE_ROW = text("""
    SELECT (collected_at IS NULL OR collected_at <= :fresh_after) AND (
        SELECT count(*) FROM (
            SELECT FROM step WHERE account_id = :id AND kind = 'collect' AND attempts > 0 AND since <= :before
            LIMIT :count) late) >= :count
    FROM account WHERE id = :id""")


def have_downloads_failed_in_a_row(
    tx: Connection, account_id: UUID, *, count: int, before: datetime, fresh_after: datetime
) -> bool:
    """Return whether so many downloads began before the instant, and none has succeeded since ``fresh_after``."""
    values = {"id": account_id, "count": count, "before": before, "fresh_after": fresh_after}
    return bool(tx.execute(_IS_WHOLE_ROW, values).scalar_one())


def remember_collected(tx: Connection, account_id: UUID, *, now: datetime) -> None:
    """Store when an image was last downloaded."""
    tx.execute(text("UPDATE account SET collected_at = :now WHERE id = :id"), {"now": now, "id": account_id})


_COUNT = f"""
    SELECT count(*) AS images, min(s.since) AS since, count(s.error) AS failing, min(s.due_at) FILTER (
            WHERE s.error IS NOT NULL) AS next_at,
        (array_agg(s.error ORDER BY s.due_at DESC) FILTER (WHERE s.error IS NOT NULL))[1] AS error
    FROM {steps.WITH_GENERATION}
    WHERE s.kind = 'collect' AND g.state = 'succeeded'"""


def not_downloaded_of_batch(tx: Connection, batch_id: UUID) -> NotDownloaded:
    """Return those of one batch."""
    return _not_downloaded(tx.execute(text(f"{_COUNT} AND g.batch_id = :id"), {"id": batch_id}).one())


def not_downloaded_of_account(tx: Connection, name: str) -> NotDownloaded:
    """Return those of the account with that name."""
    row = tx.execute(
        text(f"{_COUNT} AND s.account_id = (SELECT id FROM account WHERE name = :name)"), {"name": name}
    ).one()
    return _not_downloaded(row)


def _not_downloaded(row: Any) -> NotDownloaded:
    return NotDownloaded(count=row.images, since=row.since, failing=row.failing, error=row.error, next_at=row.next_at)
