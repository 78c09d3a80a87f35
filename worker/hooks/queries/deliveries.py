"""Deliveries in the database: written for each event and hook, leased by senders, settled, listed and replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.core.rules.events import EventType
from worker.hooks.rules.hook import HookKind


@dataclass(frozen=True, kw_only=True)
class Unrelayed:
    """An event whose deliveries are not written yet, locked."""

    id: UUID
    type: str
    subject: str
    data: Mapping[str, Any]


_UNRELAYED = text("""
    SELECT id, type, subject, data FROM event WHERE relayed_at IS NULL
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED""")


def lock_unrelayed(tx: Connection, *, limit: int) -> list[Unrelayed]:
    """Lock the oldest events without deliveries; what another node is at is left out."""
    return [Unrelayed(**row) for row in tx.execute(_UNRELAYED, {"limit": limit}).mappings()]


_MERGE = text("UPDATE event SET data = :data WHERE id = :id").bindparams(bindparam("data", type_=JSONB))


def set_data(tx: Connection, event_id: UUID, data: Mapping[str, Any]) -> None:
    """Merge other events into an event."""
    tx.execute(_MERGE, {"id": event_id, "data": dict(data)})


# What a hook that is switched off would have received is a dead letter, so that nothing is lost when it is on again.
_RELAY = text("""
    WITH told AS (
        INSERT INTO hook_delivery (id, hook_id, event_id, created_at, due_at, given_up_at, last_error)
        SELECT gen_random_uuid(), h.id, e.id, :now, :now, CASE WHEN h.disabled_at IS NOT NULL THEN CAST(:now AS
            timestamptz) END, CASE WHEN h.disabled_at IS NOT NULL THEN 'the hook is disabled' END
        FROM event e JOIN hook h ON h.removed_at IS NULL AND e.type = ANY(h.events)
            AND (h.catalog_id IS NULL OR h.catalog_id = e.catalog_id)
        WHERE e.id = ANY(:ids) ON CONFLICT (event_id, hook_id) DO NOTHING)
    UPDATE event SET relayed_at = :now WHERE id = ANY(:ids) OR id = ANY(:merged)""")


def relay(tx: Connection, ids: Sequence[UUID], merged: Sequence[UUID], *, now: datetime) -> None:
    """Write the deliveries of these events to all hooks that are subscribed; the merged ones have none."""
    tx.execute(_RELAY, {"ids": list(ids), "merged": list(merged), "now": now})


_TEST = text("""
    WITH made AS (
        INSERT INTO event (id, type, version, subject, data, created_at, relayed_at)
        VALUES (:event_id, :type, :version, :subject, :data, :now, :now) RETURNING id)
    INSERT INTO hook_delivery (id, hook_id, event_id, created_at, due_at)
    SELECT :id, :hook_id, id, :now, :now FROM made""").bindparams(bindparam("data", type_=JSONB))


def add_test(
    tx: Connection, *, delivery_id: UUID, event_id: UUID, hook_id: UUID, data: Mapping[str, Any], now: datetime
) -> None:
    """Write a test event for one hook."""
    type_ = EventType.HOOK_TEST
    about = {"type": type_, "version": type_.version, "subject": f"hook:{hook_id}", "data": dict(data)}
    tx.execute(_TEST, {"id": delivery_id, "event_id": event_id, "hook_id": hook_id, "now": now, **about})


@dataclass(frozen=True, kw_only=True)
class Leased:
    """A hook whose deliveries this process has leased."""

    hook_id: UUID
    until: datetime


FURTHEST = timedelta(days=2)
"""No wait is longer: what is due later was dated by a clock that was wrong."""
SLOW_S = 3.0
"""A hook whose last try took longer, or failed, shares its senders with the others of its kind."""

# Senders are few, and a receiver that is slow or away holds one for as long as a try may take: so of those hooks only
# ``:lane`` are served at once, and the other senders are free for hooks that work.
_LEASE = text("""
    UPDATE hook SET leased_until = :until WHERE id = (
        SELECT h.id FROM hook h CROSS JOIN LATERAL (
            SELECT min(due_at) AS due_at FROM hook_delivery
            WHERE hook_id = h.id AND delivered_at IS NULL AND given_up_at IS NULL) d
        WHERE h.removed_at IS NULL AND h.disabled_at IS NULL
          AND (h.leased_until IS NULL OR h.leased_until <= :now OR h.leased_until > :furthest)
          AND (d.due_at <= :now OR d.due_at > :furthest)
          AND ((h.failing_since IS NULL AND coalesce(h.took_s, 0) <= :slow_s) OR :lane > (
              SELECT count(*) FROM hook o WHERE o.leased_until > :now
                  AND (o.failing_since IS NOT NULL OR o.took_s > :slow_s)))
        ORDER BY d.due_at, h.id LIMIT 1 FOR NO KEY UPDATE OF h SKIP LOCKED)
    RETURNING id AS hook_id, leased_until AS until""")


def lease(tx: Connection, *, now: datetime, lease: timedelta, lane: int) -> Leased | None:
    """Lease the hook whose oldest delivery is due longest; no other process gets it before the lease expires."""
    values = {"now": now, "until": now + lease, "furthest": now + FURTHEST, "slow_s": SLOW_S, "lane": lane}
    row = tx.execute(_LEASE, values).mappings().one_or_none()
    return None if row is None else Leased(**row)


_RELEASE = text("UPDATE hook SET leased_until = :until WHERE id = :id AND leased_until = :leased")


def release(tx: Connection, leased: Leased, *, rest_until: datetime | None) -> None:
    """Let other processes have a hook, at once or after a rest."""
    tx.execute(_RELEASE, {"id": leased.hook_id, "leased": leased.until, "until": rest_until})


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery that this process may send until the lease ends; ``attempts`` is the fence."""

    delivery_id: UUID
    hook_id: UUID
    kind: HookKind
    target: str
    secret: str | None = field(repr=False)
    rotated_at: datetime | None
    failing_since: datetime | None
    event_id: UUID
    type: str
    version: int
    data: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    """When the event happened."""
    attempts: int
    failures: int


_NEXT = text("""
    WITH renewed AS (
        UPDATE hook SET leased_until = :until WHERE id = :hook_id AND leased_until = :leased
            AND removed_at IS NULL AND disabled_at IS NULL
        RETURNING id, kind, target, secret, rotated_at, failing_since)
    UPDATE hook_delivery d SET due_at = :until, attempts = attempts + 1, tried_at = :now
    FROM renewed h, event e
    WHERE e.id = d.event_id AND d.id = (
        SELECT o.id FROM hook_delivery o
        WHERE o.hook_id = :hook_id AND o.delivered_at IS NULL AND o.given_up_at IS NULL
          AND (o.due_at <= :now OR o.due_at > :furthest)
        ORDER BY o.due_at, o.event_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING d.id AS delivery_id, d.hook_id, h.kind, h.target, h.secret, h.rotated_at, h.failing_since,
        e.id AS event_id, e.type, e.version, e.data, e.created_at, d.attempts, d.failures""")


def claim_next(tx: Connection, leased: Leased, *, now: datetime, lease: timedelta) -> tuple[Leased, Due | None]:
    """Begin a try of what is due longest to the hook, and renew its lease; None when there is none."""
    until = now + lease
    values = {"hook_id": leased.hook_id, "leased": leased.until, "until": until, "now": now}
    row = tx.execute(_NEXT, {**values, "furthest": now + FURTHEST}).mappings().one_or_none()
    due = None if row is None else Due(**{**row, "kind": HookKind(row["kind"])})
    return Leased(hook_id=leased.hook_id, until=until), due


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How a try went."""

    took_s: float
    status: int | None = None
    response: str | None = None
    """The head of the answer's body."""
    error: str | None = None
    """None: it was delivered."""


def producer_span(tx: Connection, batch_id: UUID) -> str | None:
    """Return the traceparent that the batch's producer gave; None when it gave none."""
    found: str | None = tx.execute(text("SELECT traceparent FROM batch WHERE id = :i"), {"i": batch_id}).scalar()
    return found


_SETTLE = text("""
    UPDATE hook_delivery SET delivered_at = :delivered_at, given_up_at = :given_up_at, due_at = :due_at,
        failures = :failures, last_error = :error, status = :status, response = :response
    WHERE id = :id AND attempts = :attempts AND delivered_at IS NULL AND given_up_at IS NULL""")
_NOTE = text("""
    UPDATE hook SET took_s = :took_s, failing_since = CASE WHEN :is_failure THEN coalesce(failing_since, :now) END
    WHERE id = :id""")


def settle(tx: Connection, due: Due, tried: Tried, *, now: datetime, again_at: datetime | None) -> None:
    """Record how a try went, on the delivery and on its hook; ``again_at`` None: it is not tried any more.

    Without effect on a delivery that another process has taken over since.
    """
    is_failure = tried.error is not None
    values = {
        "id": due.delivery_id,
        "attempts": due.attempts,
        "failures": due.failures + is_failure,
        "delivered_at": None if is_failure else now,
        "given_up_at": now if is_failure and again_at is None else None,
        "due_at": again_at or now,
        "error": tried.error,
        "status": tried.status,
        "response": tried.response,
    }
    tx.execute(_NOTE, {"id": due.hook_id, "took_s": tried.took_s, "is_failure": is_failure, "now": now})
    tx.execute(_SETTLE, values)


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One delivery, for a person."""

    id: UUID
    hook_id: UUID
    target: str
    event_id: UUID
    type: str
    created_at: datetime
    """When the event happened."""
    attempts: int
    tried_at: datetime | None
    due_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    status: int | None
    response: str | None
    last_error: str | None

    @property
    def state(self) -> str:
        """One of delivered, failed (a dead letter), waiting (a try failed) and new."""
        if self.delivered_at is not None:
            return "delivered"
        if self.given_up_at is not None:
            return "failed"
        return "waiting" if self.attempts else "new"


_LISTED = """
    SELECT d.id, d.hook_id, h.target, d.event_id, e.type, e.created_at, d.attempts, d.tried_at, d.due_at,
        d.delivered_at, d.given_up_at, d.status, d.response, d.last_error
    FROM hook_delivery d JOIN hook h ON h.id = d.hook_id JOIN event e ON e.id = d.event_id"""
_NEWEST = text(f"""{_LISTED}
    WHERE (CAST(:hook_id AS uuid) IS NULL OR d.hook_id = :hook_id)
      AND (NOT CAST(:is_failed AS boolean) OR d.given_up_at IS NOT NULL)
    ORDER BY d.event_id DESC, d.hook_id LIMIT :limit""")
_ONE = text(f"{_LISTED} WHERE d.id = :id")


def newest(tx: Connection, *, hook_id: UUID | None, is_failed: bool, limit: int) -> list[DeliveryRow]:
    """List deliveries, newest event first; of one hook, or dead letters alone, if asked for."""
    rows = tx.execute(_NEWEST, {"hook_id": hook_id, "is_failed": is_failed, "limit": limit}).mappings()
    return [DeliveryRow(**row) for row in rows]


def one(tx: Connection, delivery_id: UUID) -> DeliveryRow | None:
    """Return one delivery."""
    row = tx.execute(_ONE, {"id": delivery_id}).mappings().one_or_none()
    return None if row is None else DeliveryRow(**row)


_REPLAY = text("""
    UPDATE hook_delivery d SET delivered_at = NULL, given_up_at = NULL, due_at = :now, failures = 0
    FROM hook h WHERE h.id = d.hook_id AND h.removed_at IS NULL AND h.disabled_at IS NULL
      AND (d.delivered_at IS NOT NULL OR d.given_up_at IS NOT NULL)
      AND (d.id = :id OR d.event_id = :id OR (CAST(:id AS uuid) IS NULL AND d.given_up_at >= :since))
      AND (CAST(:hook_id AS uuid) IS NULL OR d.hook_id = :hook_id)""")


def replay(tx: Connection, *, chosen: UUID | None, since: datetime | None, hook_id: UUID | None, now: datetime) -> int:
    """Have deliveries sent again with a fresh schedule; give how many.

    ``chosen`` is one delivery, or an event with its deliveries to all hooks; without it, the dead letters ``since``.
    Those of hooks that are off or removed stay as they are, and so does what is still to be sent.
    """
    values = {"id": chosen, "since": since, "hook_id": hook_id, "now": now}
    return tx.execute(_REPLAY, values).rowcount


# Deliveries of a hook that was removed cannot be sent any more.
_DELETE_DELIVERED = text("""
    DELETE FROM hook_delivery WHERE id IN (
        SELECT d.id FROM hook_delivery d WHERE d.delivered_at < :before
            OR (d.given_up_at < :before AND d.hook_id IN (SELECT h.id FROM hook h WHERE h.removed_at IS NOT NULL))
        LIMIT :limit FOR UPDATE SKIP LOCKED)""")
_DELETE_EVENTS = text("""
    DELETE FROM event WHERE id IN (
        SELECT e.id FROM event e WHERE e.relayed_at < :before AND e.once_key IS NULL
            AND NOT EXISTS (SELECT FROM hook_delivery d WHERE d.event_id = e.id)
        ORDER BY e.relayed_at LIMIT :limit FOR UPDATE SKIP LOCKED)""")


def delete_delivered(tx: Connection, before: datetime, limit: int) -> int:
    """Delete deliveries that were taken, or given up for a removed hook, before an instant; return how many.

    Dead letters of a hook that is there stay: they may be replayed.
    """
    return tx.execute(_DELETE_DELIVERED, {"before": before, "limit": limit}).rowcount


def delete_events(tx: Connection, before: datetime, limit: int) -> int:
    """Delete events that were relayed before an instant and have no delivery left; return how many.

    One that is told once for each key stays, or it would be told again.
    """
    return tx.execute(_DELETE_EVENTS, {"before": before, "limit": limit}).rowcount
