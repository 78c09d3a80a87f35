"""The log of changes, newest first and a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


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
