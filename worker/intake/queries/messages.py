"""Messages that were no use: kept beside the batch that they were meant to be, or counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.intake.rules.delivery import KEPT_BYTES, Delivery

_KEEP = text("""
    INSERT INTO refused_message (batch_id, queue, raw, size_bytes, sha256, received_at)
    VALUES (:batch_id, :queue, :raw, :size_bytes, :sha256, :now) ON CONFLICT (batch_id) DO NOTHING""")


def keep_refused(tx: Connection, batch_id: UUID, delivery: Delivery, *, now: datetime) -> None:
    """Keep the first bytes of a message that was refused as a whole; a redelivery changes nothing."""
    values = {
        "batch_id": batch_id,
        "queue": delivery.queue,
        "raw": delivery.body[:KEPT_BYTES],
        "size_bytes": delivery.size_bytes,
        "sha256": delivery.sha256,
        "now": now,
    }
    tx.execute(_KEEP, values)


_COUNT = text("""
    INSERT INTO dropped_message (queue, day, messages, last_reason, last_at)
    VALUES (:queue, CAST(:now AS timestamptz)::date, 1, :reason, :now)
    ON CONFLICT (queue, day) DO UPDATE SET messages = dropped_message.messages + 1,
        last_reason = excluded.last_reason, last_at = excluded.last_at""")


def count_dropped(tx: Connection, delivery: Delivery, reason: str, *, now: datetime) -> None:
    """Count a dropped message for its queue and day."""
    tx.execute(_COUNT, {"queue": delivery.queue, "reason": reason, "now": now})


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """The messages of a queue that were dropped since an instant."""

    queue: str
    messages: int
    last_reason: str


def dropped(tx: Connection, *, since: datetime) -> list[Dropped]:
    """Return the counts by queue, whole days of UTC."""
    query = text("""
        SELECT queue, CAST(sum(messages) AS bigint) AS messages,
               (array_agg(last_reason ORDER BY last_at DESC))[1] AS last_reason
        FROM dropped_message WHERE day >= CAST(:since AS timestamptz)::date GROUP BY queue ORDER BY queue""")
    return [Dropped(**row) for row in tx.execute(query, {"since": since}).mappings()]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A batch that was refused, and the first of its faults."""

    batch_id: UUID
    token: str
    created_at: datetime
    faults: int
    field: str
    reason: str
    size_bytes: int | None
    """Of its message, where that was refused as a whole."""


_REFUSED = text("""
    SELECT b.id AS batch_id, b.token, b.created_at, count(*) OVER () AS total, m.size_bytes,
           (SELECT count(*) FROM refused_line WHERE batch_id = b.id) AS faults, f.field, f.reason
    FROM batch b LEFT JOIN refused_message m ON m.batch_id = b.id
    JOIN LATERAL (SELECT field, reason FROM refused_line WHERE batch_id = b.id ORDER BY line, id LIMIT 1) f ON true
    WHERE b.state = 'refused' AND b.created_at >= :since ORDER BY b.created_at DESC, b.id DESC LIMIT :limit""")


def refused(tx: Connection, *, since: datetime, limit: int) -> tuple[int, list[Refused]]:
    """Count the batches that were refused since an instant, and return the newest of them."""
    rows = tx.execute(_REFUSED, {"since": since, "limit": limit}).mappings().all()
    found = [Refused(**{name: value for name, value in row.items() if name != "total"}) for row in rows]
    return (int(rows[0]["total"]) if rows else 0), found


def refused_raw(tx: Connection, batch_id: UUID) -> bytes | None:
    """Return the first bytes of the message that was refused as a whole, if it was."""
    raw: Any = tx.execute(text("SELECT raw FROM refused_message WHERE batch_id = :id"), {"id": batch_id}).scalar()
    return None if raw is None else bytes(raw)


LOOKED_BACK = timedelta(days=7)
"""How far back refused batches and dropped messages are counted where no span is named."""
