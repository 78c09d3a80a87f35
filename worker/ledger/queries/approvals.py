"""What waits for a second person, and who agreed to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

OPEN_FOR = timedelta(days=7)
"""A request that was not approved within this time expires; a batch that waits stays paused."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One request of one person."""

    id: UUID
    subject: str
    request: str
    credits: int | None
    requested_by: str
    requested_at: datetime


_OPEN = text("""
    SELECT id, subject, request, credits, requested_by, requested_at FROM approval
    WHERE subject = :subject AND request = :request AND approved_at IS NULL AND requested_at > :since
    ORDER BY requested_at FOR UPDATE""")
_OF_SUBJECT = text("""
    SELECT id, subject, request, credits, requested_by, requested_at FROM approval
    WHERE subject = :subject AND approved_at IS NULL ORDER BY requested_at DESC LIMIT 1 FOR UPDATE""")
_WAITING = text("""
    SELECT id, subject, request, credits, requested_by, requested_at FROM approval
    WHERE approved_at IS NULL AND (requested_at > :since OR request = 'submit')
    ORDER BY requested_at DESC LIMIT 100""")
_ADD = text("""
    INSERT INTO approval (id, subject, request, credits, requested_by, requested_at)
    VALUES (:id, :subject, :request, :credits, :by, :now)""")
_APPROVE = text("UPDATE approval SET approved_by = :by, approved_at = :now WHERE id = :id")


def open_requests(tx: Connection, *, subject: str, request: str, now: datetime) -> list[Approval]:
    """Return the open requests for exactly this, the oldest first, locked."""
    rows = tx.execute(_OPEN, {"subject": subject, "request": request, "since": now - OPEN_FOR})
    return [Approval(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def open_of(tx: Connection, subject: str) -> Approval | None:
    """Return the newest open request about the subject, locked."""
    row = tx.execute(_OF_SUBJECT, {"subject": subject}).one_or_none()
    return None if row is None else Approval(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def waiting(tx: Connection, *, now: datetime) -> list[Approval]:
    """Return what waits for a second person, the newest first, 100 at the most."""
    rows = tx.execute(_WAITING, {"since": now - OPEN_FOR})
    return [Approval(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def add(
    tx: Connection,
    *,
    approval_id: UUID,
    subject: str,
    request: str,
    credits_: int | None,
    by: str,
    now: datetime,
) -> None:
    """Store a person's request."""
    values = {"id": approval_id, "subject": subject, "request": request, "credits": credits_, "by": by, "now": now}
    tx.execute(_ADD, values)


def approve(tx: Connection, approval_id: UUID, *, by: str, now: datetime) -> None:
    """Keep who agreed."""
    tx.execute(_APPROVE, {"id": approval_id, "by": by, "now": now})
