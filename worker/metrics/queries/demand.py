"""What bounds the work of each account now; counts are bounded by the window, however much waits."""

from datetime import datetime

from sqlalchemy import Connection, text

from worker.accounts.queries.accounts import WORKS_FOR
from worker.core.rules.errors import PauseReason
from worker.ledger.queries.budgets import NEXT, month_of
from worker.metrics.rules.demand import AHEAD, DemandFacts

# A batch contributes as many jobs as its cap and its owner's month have room for, at the price of its next job.
_DEMAND = text(f"""
    SELECT a.name AS account, a.pause_reason, a.rate, a.read_rate, a.max_in_flight, a.wallet_left, a.wallet_read_at,
        CASE WHEN a.blocked_until > :now THEN a.blocked_until END AS blocked_until, s.due, s.in_flight,
        coalesce(w.jobs, 0) AS admissible, w.price
    FROM account a
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE due_at <= :soon_before) AS due, count(*) AS in_flight
        FROM step WHERE account_id = a.id) s
    LEFT JOIN LATERAL (
        SELECT sum(jobs)::bigint AS jobs, min(price) AS price FROM (
            SELECT b.price, (
                SELECT count(*) FROM (
                    SELECT FROM job WHERE batch_id = b.id AND state = 'pending'
                        AND (job.account_id IS NULL OR job.account_id = a.id) AND NOT EXISTS (
                        SELECT FROM model_pause p
                        WHERE p.account_id = a.id AND p.model = job.model AND p.paused_at IS NOT NULL)
                    LIMIT CASE WHEN b.room IS NULL THEN a.max_in_flight
                        ELSE least(a.max_in_flight, greatest(b.room / b.price, 0)) END) counted
                ) AS jobs
            FROM (
                SELECT batch.id, {NEXT.format(batch="batch", account="a.id")} AS price,
                    least(batch.credit_cap - batch.committed, c.monthly_cap - coalesce(m.committed, 0)) AS room
                FROM batch
                LEFT JOIN owner_cap c ON c.owner = batch.owner
                LEFT JOIN owner_month m ON m.owner = batch.owner AND m.month = :month
                WHERE {WORKS_FOR.format(batch="batch", account="a.id")}
                    AND batch.has_pending AND batch.state = 'open'
                    AND (batch.deadline_at IS NULL OR batch.deadline_at > :now)
                ORDER BY batch.id LIMIT 1000) b
            WHERE b.price IS NOT NULL) counted) w ON true
    ORDER BY a.name""")


def read(tx: Connection, *, now: datetime) -> list[DemandFacts]:
    """Return the facts of each account, by name."""
    rows = tx.execute(_DEMAND, {"now": now, "soon_before": now + AHEAD, "month": month_of(now)}).mappings()
    return [DemandFacts(**row, may_read=_may_read(row["pause_reason"])) for row in rows]


def _may_read(pause_reason: str | None) -> bool:
    return pause_reason is None or PauseReason(pause_reason).permits_reading
