"""Up to which instant the books say the same for ever, and who vouches for it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

FACTS_LOCK = 7_041_776_402_155_231_113
"""Advisory lock: shared by every transaction that writes a call, a result or a reading (migration 0013)."""


@dataclass(frozen=True, kw_only=True)
class SealMark:
    """The last seal at or before an instant."""

    id: int
    sealed_at: datetime
    hash: str


def closed_until(tx: Connection) -> datetime | None:
    """Return the instant at or before which nothing can be posted any more; None when nothing was ever sealed."""
    found: datetime | None = tx.execute(text("SELECT sealed_at FROM seal ORDER BY id DESC LIMIT 1")).scalar()
    return found


def await_writers(tx: Connection) -> None:
    """Wait until whoever was writing a call, a result or a reading before the last seal is done.

    Those who begin now see the seal, and date their row after it. The transaction must end before anything is read.
    """
    tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FACTS_LOCK})


def seal_at(tx: Connection, instant: datetime) -> SealMark | None:
    """Return the last seal whose instant is not later."""
    row = tx.execute(
        text("""
            SELECT id, sealed_at, encode(hash, 'hex') AS hash FROM seal WHERE sealed_at <= :instant
            ORDER BY id DESC LIMIT 1"""),
        {"instant": instant},
    ).one_or_none()
    return None if row is None else SealMark(id=row.id, sealed_at=row.sealed_at, hash=row.hash)


def schema_revision(tx: Connection) -> str:
    """Return the number of the last migration."""
    found: str = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return found
