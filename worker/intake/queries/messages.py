"""Messages of producers: refused or dropped ones, and those that wait until their references are fetched."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.intake.rules.delivery import ENQUEUE, KEPT_BYTES, Delivery

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
CLAIM_LEASE = timedelta(minutes=1)
"""How long a claim lasts; it is renewed while the node works on it, so that another takes over soon after a crash."""


class ClaimLost(Exception):
    """Another node has the message now, or is done with it; nothing of this transaction may be kept."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that this process has for the time of its lease."""

    id: UUID
    fence: int
    tries: int
    """Claims that were not given back, this one included."""
    delivery: Delivery


_KEEP_WAITING = text("""
    INSERT INTO waiting_message (id, account_id, name, sha256, body, compression, traceparent, received_at, due_at)
    VALUES (:id, :account_id, :name, :sha256, :body, :compression, :traceparent, :now, :now)
    ON CONFLICT (account_id, name, sha256) DO NOTHING""")


def keep_waiting(tx: Connection, account_id: UUID, delivery: Delivery, *, message_id: UUID, now: datetime) -> None:
    """Keep a message that was understood; its redelivery changes nothing."""
    values = {
        "id": message_id,
        "account_id": account_id,
        "name": delivery.name,
        "sha256": delivery.sha256,
        "body": delivery.body,
        "compression": delivery.compression or None,
        "traceparent": delivery.traceparent,
        "now": now,
    }
    tx.execute(_KEEP_WAITING, values)


_CLAIM = text("""
    UPDATE waiting_message SET fence = fence + 1, tries = tries + 1, due_at = :until
    WHERE id = (SELECT id FROM waiting_message WHERE account_id = :account_id AND due_at <= :now
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, fence, tries, name, sha256, body, compression, traceparent""")


def claim_waiting(tx: Connection, account_id: UUID, *, now: datetime) -> Claimed | None:
    """Claim the message that has been due for longest, if there is one."""
    row: Any = tx.execute(_CLAIM, {"account_id": account_id, "now": now, "until": now + CLAIM_LEASE}).one_or_none()
    if row is None:
        return None
    return Claimed(id=row.id, fence=row.fence, tries=row.tries, delivery=_delivery(row))


def _delivery(row: Any) -> Delivery:
    """Return the message as it was delivered, as far as it was kept."""
    return Delivery(
        queue=ENQUEUE,
        task=ENQUEUE,
        message_id=None if row.name == f"sha256:{row.sha256}" else row.name,
        content_type="application/json",
        compression=row.compression,
        body=bytes(row.body),
        size_bytes=len(row.body),
        sha256=row.sha256,
        traceparent=row.traceparent,
    )


_RENEW = text("""
    UPDATE waiting_message w SET due_at = :until
    FROM unnest(CAST(:ids AS uuid[]), CAST(:fences AS bigint[])) AS mine(id, fence)
    WHERE w.id = mine.id AND w.fence = mine.fence RETURNING w.id""")


def renew_claim(tx: Connection, claims: Collection[Claimed], *, now: datetime) -> set[UUID]:
    """Lengthen the leases, and return the ids of the messages that are still this process's."""
    if not claims:
        return set()
    values = {
        "ids": [each.id for each in claims],
        "fences": [each.fence for each in claims],
        "until": now + CLAIM_LEASE,
    }
    return set(tx.execute(_RENEW, values).scalars())


_GIVE_BACK = text("""
    UPDATE waiting_message SET due_at = :due_at, fence = fence + 1, tries = tries - 1
    WHERE id = :id AND fence = :fence""")


def give_back_claim(tx: Connection, claimed: Claimed, *, due_at: datetime) -> None:
    """Let any node claim the message from ``due_at`` on, if it is still this process's; the try does not count."""
    tx.execute(_GIVE_BACK, {"id": claimed.id, "fence": claimed.fence, "due_at": due_at})


def remove_waiting(tx: Connection, claimed: Claimed) -> None:
    """Remove the message in the transaction that writes its outcome; raise ClaimLost when it is another's now."""
    query = text("DELETE FROM waiting_message WHERE id = :id AND fence = :fence")
    if not tx.execute(query, {"id": claimed.id, "fence": claimed.fence}).rowcount:
        raise ClaimLost


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How many messages wait to be taken in, their references fetched, and since when the first one does."""

    messages: int
    oldest_at: datetime | None

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.messages:,} wait to become batches"


def count_waiting(tx: Connection) -> Waiting:
    """Count the messages of all accounts that are kept until a node takes them in."""
    query = text("SELECT count(*) AS messages, min(received_at) AS oldest_at FROM waiting_message")
    return Waiting(**tx.execute(query).mappings().one())
