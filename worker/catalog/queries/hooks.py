"""Hooks in the database: who is told of a catalog, what they are owed, and how sending it went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.catalog.rules.hook import HookKind


@dataclass(frozen=True, kw_only=True)
class HookRow:
    """One hook, with what is still owed to it."""

    id: UUID
    kind: HookKind
    target: str
    created_at: datetime
    delivered: int
    waiting: int
    given_up: int
    last_error: str | None
    """Of the oldest message that waits; None when none does, or it was not tried yet."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A message that this process may send until the lease ends; ``attempts`` is the fence."""

    delivery_id: UUID
    kind: HookKind
    target: str
    secret: str | None = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a hook is to be told."""

    id: UUID
    hook_id: UUID
    payload: Mapping[str, Any]


def add(
    tx: Connection, *, hook_id: UUID, catalog_id: UUID, kind: HookKind, target: str, secret: str | None, now: datetime
) -> None:
    """Tell this one from now on."""
    statement = text("""
        INSERT INTO hook (id, catalog_id, kind, target, secret, created_at)
        VALUES (:id, :catalog_id, :kind, :target, :secret, :now)""")
    values = {"id": hook_id, "catalog_id": catalog_id, "kind": kind, "target": target, "secret": secret, "now": now}
    tx.execute(statement, values)


def remove(tx: Connection, hook_id: UUID, *, now: datetime) -> int:
    """Tell it nothing more, nor what it is owed; give how many messages were dropped."""
    tx.execute(
        text("UPDATE hook SET removed_at = :now WHERE id = :id AND removed_at IS NULL"), {"id": hook_id, "now": now}
    )
    dropped = tx.execute(
        text("""
            UPDATE hook_delivery SET given_up_at = :now, last_error = 'the hook was removed'
            WHERE hook_id = :id AND delivered_at IS NULL AND given_up_at IS NULL RETURNING id"""),
        {"id": hook_id, "now": now},
    )
    return len(dropped.all())


_OF = text("""
    SELECT h.id, h.kind, h.target, h.created_at,
           count(d.id) FILTER (WHERE d.delivered_at IS NOT NULL) AS delivered,
           count(d.id) FILTER (WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL) AS waiting,
           count(d.id) FILTER (WHERE d.given_up_at IS NOT NULL) AS given_up,
           (array_agg(d.last_error ORDER BY d.id)
                FILTER (WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL))[1] AS last_error
    FROM hook h LEFT JOIN hook_delivery d ON d.hook_id = h.id
    WHERE h.catalog_id = :id AND h.removed_at IS NULL GROUP BY h.id ORDER BY h.id""")


def of(tx: Connection, catalog_id: UUID) -> list[HookRow]:
    """Return the hooks of a catalog, oldest first; secrets stay where they are."""
    rows = tx.execute(_OF, {"id": catalog_id}).mappings()
    return [HookRow(**{**row, "kind": HookKind(row["kind"])}) for row in rows]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiver:
    """A hook that hears of a catalog."""

    hook_id: UUID
    catalog_id: UUID
    catalog: str


_RECEIVERS = text("""
    SELECT h.id AS hook_id, c.id AS catalog_id, c.name AS catalog FROM hook h JOIN catalog c ON c.id = h.catalog_id
    WHERE h.catalog_id = ANY(:ids) AND h.removed_at IS NULL ORDER BY h.id""")


def receivers(tx: Connection, catalog_ids: Sequence[UUID]) -> list[Receiver]:
    """Return the hooks of these catalogs."""
    return [Receiver(**row) for row in tx.execute(_RECEIVERS, {"ids": list(catalog_ids)}).mappings()]


def owe(tx: Connection, messages: Sequence[Message], *, now: datetime) -> None:
    """Write what is to be sent, in the transaction that it tells of."""
    statement = text("""
        INSERT INTO hook_delivery (id, hook_id, payload, created_at, due_at)
        VALUES (:id, :hook_id, :payload, :now, :now)""").bindparams(bindparam("payload", type_=JSONB))
    values = [{"id": m.id, "hook_id": m.hook_id, "payload": dict(m.payload), "now": now} for m in messages]
    if values:
        tx.execute(statement, values)


# A hook receives one message after the other: only its oldest open message may be sent, so that an image which was
# live for an hour never arrives after the one that took its place. No wait is longer than an hour: what is due later
# was dated by a clock that was wrong.
_CLAIM = text("""
    UPDATE hook_delivery d SET due_at = :lease_until, attempts = attempts + 1 FROM hook h
    WHERE h.id = d.hook_id AND d.id = (
        SELECT o.id FROM hook_delivery o
        WHERE o.delivered_at IS NULL AND o.given_up_at IS NULL
          AND (o.due_at <= :now OR o.due_at > :now + interval '2 hours') AND NOT EXISTS (
            SELECT 1 FROM hook_delivery e WHERE e.hook_id = o.hook_id AND e.id < o.id
            AND e.delivered_at IS NULL AND e.given_up_at IS NULL)
        ORDER BY o.due_at, o.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING d.id AS delivery_id, h.kind, h.target, h.secret, d.payload, d.attempts, d.created_at""")


def claim(tx: Connection, *, now: datetime, lease: timedelta) -> Due | None:
    """Take the message that is due longest; nobody else gets it before the lease ends."""
    row = tx.execute(_CLAIM, {"now": now, "lease_until": now + lease}).mappings().one_or_none()
    return None if row is None else Due(**{**row, "kind": HookKind(row["kind"])})


_SETTLE = text("""
    UPDATE hook_delivery SET delivered_at = :delivered_at, given_up_at = :given_up_at, due_at = :due_at,
           last_error = :error
    WHERE id = :id AND attempts = :attempts AND delivered_at IS NULL AND given_up_at IS NULL""")


def delivered(tx: Connection, due: Due, *, now: datetime) -> None:
    """The receiver has it; nothing changes when somebody else has sent it since."""
    _settle(tx, due, delivered_at=now, due_at=now)


def postpone(tx: Connection, due: Due, *, until: datetime, error: str) -> None:
    """It is sent again later."""
    _settle(tx, due, due_at=until, error=error)


def give_up(tx: Connection, due: Due, *, error: str, now: datetime) -> None:
    """It is not tried any more, and those behind it get their turn."""
    _settle(tx, due, given_up_at=now, due_at=now, error=error)


def _settle(
    tx: Connection,
    due: Due,
    *,
    due_at: datetime,
    delivered_at: datetime | None = None,
    given_up_at: datetime | None = None,
    error: str | None = None,
) -> None:
    values = {"due_at": due_at, "delivered_at": delivered_at, "given_up_at": given_up_at, "error": error}
    tx.execute(_SETTLE, values | {"id": due.delivery_id, "attempts": due.attempts})
