"""Paid images that cannot be downloaded, in the database."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

_IS_WHOLE_ROW = text("""
    SELECT (collected_at IS NULL OR collected_at <= :fresh_after) AND (
        SELECT count(*) FROM (
            SELECT FROM step WHERE account_id = :id AND kind = 'collect' AND attempts > 0 AND since <= :before
            LIMIT :count) late) >= :count
    FROM account WHERE id = :id""")


def is_whole_row(tx: Connection, account_id: UUID, *, count: int, before: datetime, fresh_after: datetime) -> bool:
    """Return whether so many images are asked for since before the instant, and none has come since ``fresh_after``."""
    values = {"id": account_id, "count": count, "before": before, "fresh_after": fresh_after}
    return bool(tx.execute(_IS_WHOLE_ROW, values).scalar_one())


def remember_collected(tx: Connection, account_id: UUID, *, now: datetime) -> None:
    """Store when an image was last downloaded."""
    tx.execute(text("UPDATE account SET collected_at = :now WHERE id = :id"), {"now": now, "id": account_id})
