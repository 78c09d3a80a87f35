"""The work that waits for any node, as the readiness of one is judged by it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

_PATIENCE = text("SELECT set_config('statement_timeout', '2s', true)")
# Whether a step is leased does not count: one whose message no node takes is leased anew again and again. Downloads
# may take long, and are left out. A step is waited for since the account was opened, at the earliest.
_WAITING = text("""
    SELECT a.rate, CASE
        WHEN a.pause_reason IS NULL AND (a.blocked_until IS NULL OR a.blocked_until <= clock_timestamp())
        THEN extract(epoch FROM clock_timestamp() - greatest(a.resumed_at, a.blocked_until, (
            SELECT min(due_at) FROM step WHERE account_id = a.id AND kind <> 'collect'))) END AS waiting_s,
        EXISTS (SELECT FROM step WHERE account_id = a.id AND kind <> 'collect') AS has_steps
    FROM account a WHERE a.id = :id""")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Work of one account."""

    rate: float
    """Requests per second."""
    waiting_s: float | None
    """For how many seconds the oldest step is overdue, at the most since the account is open; None: none is."""


def read(tx: Connection, account_id: UUID) -> Waiting:
    """Return what waits; raises the database's error after 2 s."""
    tx.execute(_PATIENCE)
    row = tx.execute(_WAITING, {"id": account_id}).one()
    is_overdue = row.has_steps and row.waiting_s is not None and row.waiting_s > 0
    return Waiting(rate=row.rate, waiting_s=float(row.waiting_s) if is_overdue else None)
