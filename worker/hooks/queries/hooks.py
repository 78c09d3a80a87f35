"""Hooks in the database: who is subscribed to what, and how delivering to them goes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.rules.events import EventType
from worker.hooks.rules.hook import HookKind


@dataclass(frozen=True, kw_only=True)
class HookRow:
    """One hook, with its deliveries by outcome; its secrets stay where they are."""

    id: UUID
    kind: HookKind
    target: str
    events: tuple[EventType, ...]
    catalog: str | None
    created_at: datetime
    rotated_at: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    delivered: int
    waiting: int
    given_up: int
    last_error: str | None
    """Of the oldest delivery that waits; None when none does, or it was not tried yet."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What a hook signs with, its row locked."""

    secret: str | None = field(repr=False)
    rotated_at: datetime | None


_ADD = text("""
    INSERT INTO hook (id, catalog_id, kind, target, secret, events, created_at)
    VALUES (:id, :catalog_id, :kind, :target, :secret, :events, :now)""")


def add(
    tx: Connection,
    by: Author,
    *,
    hook_id: UUID,
    catalog_id: UUID | None,
    kind: HookKind,
    target: str,
    secret: str | None,
    events: Sequence[EventType],
) -> None:
    """Subscribe a receiver from now on; the log of changes has it with its author."""
    changes.sign(tx, by)
    values = {"id": hook_id, "catalog_id": catalog_id, "kind": kind, "target": target, "secret": secret}
    tx.execute(_ADD, {**values, "events": [each.value for each in events], "now": by.now})


_LIST = """
    SELECT h.id, h.kind, h.target, h.events, c.name AS catalog, h.created_at, h.rotated_at, h.failing_since,
           h.disabled_at, h.disabled_reason,
           count(d.id) FILTER (WHERE d.delivered_at IS NOT NULL) AS delivered,
           count(d.id) FILTER (WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL) AS waiting,
           count(d.id) FILTER (WHERE d.given_up_at IS NOT NULL) AS given_up,
           (array_agg(d.last_error ORDER BY d.event_id)
                FILTER (WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL))[1] AS last_error
    FROM hook h LEFT JOIN catalog c ON c.id = h.catalog_id LEFT JOIN hook_delivery d ON d.hook_id = h.id
    WHERE h.removed_at IS NULL {condition} GROUP BY h.id, c.name ORDER BY h.id"""
_ALL = text(_LIST.format(condition=""))
_ONE = text(_LIST.format(condition="AND h.id = :id"))


def all_(tx: Connection) -> list[HookRow]:
    """Return the hooks that are not removed, oldest first."""
    return [_row(row) for row in tx.execute(_ALL).mappings()]


def one(tx: Connection, hook_id: UUID) -> HookRow | None:
    """Return one hook, if it is there and not removed."""
    row = tx.execute(_ONE, {"id": hook_id}).mappings().one_or_none()
    return None if row is None else _row(row)


def _row(row: Any) -> HookRow:
    events = tuple(EventType(each) for each in row["events"])  # type: ignore[call-arg]  # looked up by its value
    return HookRow(**{**row, "kind": HookKind(row["kind"]), "events": events})


_SECRETS = text("SELECT secret, rotated_at FROM hook WHERE id = :id FOR NO KEY UPDATE")


def lock_secrets(tx: Connection, hook_id: UUID) -> Secrets:
    """Return what a hook signs with, and lock it."""
    return Secrets(**tx.execute(_SECRETS, {"id": hook_id}).mappings().one())


_ROTATE = text("UPDATE hook SET secret = :secret, rotated_at = :now WHERE id = :id")


def set_secrets(tx: Connection, by: Author, hook_id: UUID, secrets: str) -> None:
    """Have a hook sign with these from now on."""
    changes.sign(tx, by)
    tx.execute(_ROTATE, {"id": hook_id, "secret": secrets, "now": by.now})


_REMOVE = text("UPDATE hook SET removed_at = :now WHERE id = :id AND removed_at IS NULL")


def remove(tx: Connection, by: Author, hook_id: UUID) -> int:
    """Deliver nothing more to a hook, nor what is owed to it; give how many deliveries were dropped."""
    changes.sign(tx, by)
    tx.execute(_REMOVE, {"id": hook_id, "now": by.now})
    return give_up_all(tx, hook_id, now=by.now, error="the hook was removed")


_GIVE_UP_ALL = text("""
    UPDATE hook_delivery SET given_up_at = :now, last_error = coalesce(last_error || '; ', '') || :error
    WHERE hook_id = :id AND delivered_at IS NULL AND given_up_at IS NULL""")


def give_up_all(tx: Connection, hook_id: UUID, *, now: datetime, error: str) -> int:
    """Make dead letters of all that is owed to a hook; give how many."""
    return tx.execute(_GIVE_UP_ALL, {"id": hook_id, "now": now, "error": error}).rowcount


_DISABLE = text("""
    UPDATE hook SET disabled_at = :now, disabled_reason = :reason, leased_until = NULL
    WHERE id = :id AND disabled_at IS NULL""")


def disable(tx: Connection, hook_id: UUID, *, now: datetime, reason: str) -> None:
    """Switch a hook off: what is owed to it, and what comes, are dead letters that can be replayed."""
    tx.execute(_DISABLE, {"id": hook_id, "now": now, "reason": reason})
    give_up_all(tx, hook_id, now=now, error=f"the hook was disabled: {reason}")


_ENABLE = text("""
    UPDATE hook SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, leased_until = NULL
    WHERE id = :id AND disabled_at IS NOT NULL""")


def enable(tx: Connection, by: Author, hook_id: UUID) -> bool:
    """Switch a hook on again; False when it was not off."""
    changes.sign(tx, by)
    return tx.execute(_ENABLE, {"id": hook_id}).rowcount == 1


@dataclass(frozen=True, kw_only=True)
class Failing:
    """Hooks that are off or whose last try failed, and dead letters."""

    disabled: int
    failing: int
    dead_letters: int
    """Of the last week, of hooks that are not removed."""
    first: str
    """What the hook that fails longest is, and what went wrong."""


_FAILING = text("""
    SELECT count(*) FILTER (WHERE f.disabled_at IS NOT NULL) AS disabled,
        count(*) FILTER (WHERE f.disabled_at IS NULL AND f.failing_since IS NOT NULL) AS failing,
        coalesce(sum(f.dead_letters), 0)::bigint AS dead_letters,
        (array_agg(f.kind || ' ' || f.target || coalesce(': ' || f.reason, '') ORDER BY f.since))[1] AS first
    FROM (SELECT h.*, coalesce(h.disabled_at, h.failing_since, h.created_at) AS since,
              coalesce(h.disabled_reason, (SELECT last_error FROM hook_delivery d WHERE d.hook_id = h.id
                  AND d.last_error IS NOT NULL ORDER BY d.tried_at DESC NULLS LAST LIMIT 1)) AS reason,
              (SELECT count(*) FROM hook_delivery d WHERE d.hook_id = h.id AND d.given_up_at IS NOT NULL
                  AND d.given_up_at > :now - interval '7 days') AS dead_letters
          FROM hook h WHERE h.removed_at IS NULL) f
    WHERE f.disabled_at IS NOT NULL OR f.failing_since IS NOT NULL OR f.dead_letters > 0""")


def failing(tx: Connection, *, now: datetime) -> Failing | None:
    """Return what is wrong with hooks; None: each took what it was last sent."""
    row = tx.execute(_FAILING, {"now": now}).mappings().one()
    return Failing(**row) if row["disabled"] or row["failing"] or row["dead_letters"] else None
