"""The log of changes: who changed a setting or decided something, from what to what, why and when; and its pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import session


@dataclass(frozen=True, kw_only=True)
class Author:
    """A person, with the reason and the instant of what is changed."""

    actor: str
    reason: str | None
    now: datetime
    new_id: Callable[[], UUID]


def record(tx: Connection, by: Author, subject: str, field: str, *, before: object, after: object) -> None:
    """Record the change, if the value differs, and wake the dispatchers at the commit."""
    if before == after:
        return
    insert(
        tx,
        change_id=by.new_id(),
        subject=subject,
        field=field,
        before=before,
        after=after,
        actor=by.actor,
        reason=by.reason,
        now=by.now,
    )
    session.notify(tx)


def record_export(tx: Connection, by: Author, subject: str, what: str) -> None:
    """Record an export; no dispatcher is woken, as none waits for it."""
    insert(
        tx,
        change_id=by.new_id(),
        subject=subject,
        field="exported",
        before=None,
        after=what,
        actor=by.actor,
        reason=by.reason,
        now=by.now,
    )


_SIGN = text("""
    SELECT set_config('darkroom.actor', :actor, true), set_config('darkroom.reason', :reason, true),
        set_config('darkroom.changed_at', :instant, true)""")


def sign(tx: Connection, by: Author) -> None:
    """Have the triggers that record settings (migration 0045) name this author for the rest of the transaction."""
    tx.execute(_SIGN, {"actor": by.actor, "reason": by.reason or "", "instant": by.now.isoformat()})


_INSERT = text("""
    INSERT INTO change (id, subject, field, before, after, actor, reason, changed_at)
    VALUES (:id, :subject, :field, :before, :after, :actor, :reason, :now)""")


def insert(
    tx: Connection,
    *,
    change_id: UUID,
    subject: str,
    field: str,
    before: object,
    after: object,
    actor: str,
    reason: str | None,
    now: datetime,
) -> None:
    """Insert a row of the log of changes."""
    tx.execute(
        _INSERT,
        {
            "id": change_id,
            "subject": subject,
            "field": field,
            "before": None if before is None else str(before),
            "after": None if after is None else str(after),
            "actor": actor,
            "reason": reason,
            "now": now,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """Who changed what, from what to what, and why."""

    id: UUID
    changed_at: datetime
    subject: str
    field: str
    before: str | None
    after: str | None
    actor: str
    reason: str | None


_NEWEST = text("""
    SELECT id, changed_at, subject, field, before, after, actor, reason FROM change
    WHERE (CAST(:subject AS text) IS NULL OR starts_with(subject, :subject))
      AND (CAST(:actor AS text) IS NULL OR strpos(lower(actor), lower(:actor)) > 0)
      AND (CAST(:before AS timestamptz) IS NULL OR (changed_at, id) < (:before, :before_id))
    ORDER BY changed_at DESC, id DESC LIMIT :limit""")


def newest(
    tx: Connection,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    subject: str | None = None,
    actor: str | None = None,
) -> Sequence[Change]:
    """Return the changes after a place; ``subject`` is the beginning of one, ``actor`` a part of one."""
    values = {
        "subject": subject,
        "actor": actor,
        "limit": limit,
        "before": None if after is None else after[0],
        "before_id": None if after is None else after[1],
    }
    return [Change(**row) for row in tx.execute(_NEWEST, values).mappings()]
