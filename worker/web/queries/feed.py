"""The ends of jobs in the order of numbers: given once, under a lock, so that they are committed in their order.

Who has seen a number has seen all lower ones: no end is committed later under one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

AT_ONCE = 1_000
"""Ends that are looked at in one transaction."""


@dataclass(frozen=True, kw_only=True)
class FeedEvent:
    """One end under its number; ``job_id`` None: of the batch as a whole."""

    number: int
    batch_id: UUID
    job_id: UUID | None
    ended_at: datetime


@dataclass(frozen=True, kw_only=True)
class Page:
    """The position of a read, and whether it assigned numbers."""

    ended_at: datetime
    job_id: UUID
    is_last: bool
    numbered: int


_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('darkroom.feed_event'))")
_NUMBER = text("""
    WITH page AS (
        SELECT id, ended_at FROM job
        WHERE batch_id = :batch_id AND ended_at IS NOT NULL AND (ended_at, id) > (:ended_at, :id)
        ORDER BY ended_at, id LIMIT :limit),
    given AS (
        INSERT INTO feed_event (batch_id, job_id, ended_at, numbered_at)
        SELECT CAST(:batch_id AS uuid), page.id, page.ended_at, now() FROM page
        WHERE NOT EXISTS (SELECT FROM feed_event e WHERE e.job_id = page.id AND e.ended_at = page.ended_at)
        ORDER BY page.ended_at, page.id
        RETURNING number)
    SELECT (SELECT count(*) FROM given) AS numbered, count(*) AS seen,
        (SELECT id FROM page ORDER BY ended_at DESC, id DESC LIMIT 1) AS id, max(ended_at) AS ended_at
    FROM page""")
_NUMBER_WHOLE = text("""
    INSERT INTO feed_event (batch_id, job_id, ended_at, numbered_at)
    SELECT b.id, NULL, coalesce((SELECT max(ended_at) FROM job WHERE batch_id = b.id), b.created_at), now()
    FROM batch b WHERE b.id = :batch_id
    ON CONFLICT (batch_id, ended_at) WHERE job_id IS NULL DO NOTHING""")


def number(tx: Connection, batch_id: UUID, *, after: tuple[datetime, UUID]) -> Page:
    """Number the next ends of a batch that have no number, in the order in which they happened; locks the numbering."""
    tx.execute(_LOCK)
    values = {"batch_id": batch_id, "ended_at": after[0], "id": after[1], "limit": AT_ONCE}
    row = tx.execute(_NUMBER, values).one()
    if row.seen == 0:
        return Page(ended_at=after[0], job_id=after[1], is_last=True, numbered=0)
    return Page(ended_at=row.ended_at, job_id=row.id, is_last=row.seen < AT_ONCE, numbered=row.numbered)


def number_whole(tx: Connection, batch_id: UUID) -> bool:
    """Number the end of a batch whose last job has ended and is numbered; False when that was done."""
    tx.execute(_LOCK)
    return tx.execute(_NUMBER_WHOLE, {"batch_id": batch_id}).rowcount == 1


_NEWLY_ENDED = text("""
    SELECT DISTINCT j.batch_id FROM job j
    WHERE j.ended_at > :since AND j.ended_at > '-infinity' AND NOT EXISTS (
        SELECT FROM feed_event e WHERE e.job_id = j.id AND e.ended_at = j.ended_at)""")


def newly_ended(tx: Connection, *, since: datetime) -> list[UUID]:
    """Return the batches of which jobs have ended since then that have no number."""
    return list(tx.execute(_NEWLY_ENDED, {"since": since}).scalars())


_OF_BATCH = text("""
    SELECT number, batch_id, job_id, ended_at FROM feed_event
    WHERE batch_id = :batch_id AND number > :after ORDER BY number LIMIT :limit""")
_OF_ALL = text("""
    SELECT e.number, e.batch_id, e.job_id, e.ended_at FROM feed_event e JOIN batch b ON b.id = e.batch_id
    WHERE e.number > :after AND (CAST(:owner AS text) IS NULL OR b.owner = :owner) ORDER BY e.number LIMIT :limit""")
_LAST = text("""
    SELECT number, batch_id, job_id, ended_at FROM feed_event
    WHERE batch_id = :batch_id ORDER BY number DESC LIMIT 1""")
_NEWEST = text("SELECT coalesce(max(number), 0) FROM feed_event")
_NUMBERED_AT = text("SELECT numbered_at FROM feed_event WHERE number <= :number ORDER BY number DESC LIMIT 1")
_NOW = text("SELECT now()")
_HAS_LATER = text("SELECT EXISTS (SELECT FROM job WHERE batch_id = :batch_id AND ended_at > :ended_at)")


def of_batch(tx: Connection, batch_id: UUID, *, after: int, limit: int) -> list[FeedEvent]:
    """Return the next events of a batch after a sequence number."""
    return _events(tx.execute(_OF_BATCH, {"batch_id": batch_id, "after": after, "limit": limit}).all())


def of_all(tx: Connection, *, owner: str | None, after: int, limit: int) -> list[FeedEvent]:
    """Return the next events after a number of all batches, or of those of one owner."""
    return _events(tx.execute(_OF_ALL, {"owner": owner, "after": after, "limit": limit}).all())


def last_of(tx: Connection, batch_id: UUID) -> FeedEvent | None:
    """Return the last event of a batch."""
    found = _events(tx.execute(_LAST, {"batch_id": batch_id}).all())
    return found[0] if found else None


def has_later(tx: Connection, event: FeedEvent) -> bool:
    """Whether a job of the event's batch has ended after it."""
    values = {"batch_id": event.batch_id, "ended_at": event.ended_at}
    return bool(tx.execute(_HAS_LATER, values).scalar_one())


def newest(tx: Connection) -> int:
    """Return the highest number; 0 when there is none."""
    return int(tx.execute(_NEWEST).scalar_one())


def numbered_at(tx: Connection, number_: int) -> datetime | None:
    """Return when the event of this number, or the last one before it, was numbered."""
    found: datetime | None = tx.execute(_NUMBERED_AT, {"number": number_}).scalar()
    return found


def now(tx: Connection) -> datetime:
    """Return the time of the database."""
    found: datetime = tx.execute(_NOW).scalar_one()
    return found


def _events(rows: Sequence[Any]) -> list[FeedEvent]:
    return [FeedEvent(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name
