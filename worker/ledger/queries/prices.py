"""What the provider last reserved for a model, where that was not what we held: the next hold follows it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

HOLD = """greatest(job.price, coalesce((
    SELECT reserved FROM model_price m WHERE m.account_id = {account_id} AND m.model = job.model), 0))"""
"""What a ``job`` holds when it is admitted: its list price, or the provider's last figure if that was higher."""

NEXT = f"""(
    SELECT first.price FROM unnest({{batch}}.models) m(model) CROSS JOIN LATERAL (
        SELECT {HOLD.replace("{account_id}", "{batch}.account_id")} AS price, line FROM job
        WHERE batch_id = {{batch}}.id AND job.model = m.model AND state = 'pending' ORDER BY line LIMIT 1) first
    WHERE NOT EXISTS (
        SELECT FROM model_pause p
        WHERE p.account_id = {{batch}}.account_id AND p.model = m.model AND p.paused_at IS NOT NULL)
    ORDER BY first.line LIMIT 1)"""
"""What the next pending job of a ``batch`` holds whose model is not paused; NULL: there is none.

Each model's first job is found by the index, however many of a paused model wait before it.
"""

# A figure that is known already is not written again: the row is shared by all jobs of the model.
_NOTE = text("""
    INSERT INTO model_price (account_id, model, reserved, seen_at)
    SELECT :account_id, :model, :reserved, :now WHERE NOT EXISTS (
        SELECT FROM model_price WHERE account_id = :account_id AND model = :model AND reserved = :reserved)
    ON CONFLICT (account_id, model) DO UPDATE SET reserved = excluded.reserved, seen_at = excluded.seen_at""")


def note(tx: Connection, *, account_id: UUID, model: str, held: int, reserved: int, now: datetime) -> None:
    """Remember the provider's figure when it is not what was held; the last lock that a transaction takes."""
    if reserved != held:
        tx.execute(_NOTE, {"account_id": account_id, "model": model, "reserved": reserved, "now": now})
