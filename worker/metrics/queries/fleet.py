"""Gauges of the fleet, and what bounds each account's work: short queries in one transaction with a timeout.

Each is bounded by what is in progress (steps, generations without an end, batches that are not done) or by the number
of batches and nodes, and not by what was ever rendered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries.accounts import WORKS_FOR
from worker.batches.queries import job_counts
from worker.core.rules.errors import PauseReason
from worker.core.rules.states import JobState, StepKind
from worker.ledger.queries.budgets import NEXT, month_of
from worker.metrics.rules.demand import AHEAD, DemandFacts

TIMEOUT_S = 5
"""A scrape that takes longer is given up: metrics may not slow the work that they measure."""
_TIMEOUT = text("SELECT set_config('statement_timeout', :milliseconds, true)")


@dataclass(frozen=True, kw_only=True)
class AccountGauges:
    """One account; spans in seconds, None where there is nothing to date."""

    account: str
    pause_reason: str | None
    paused_s: float | None
    blocked_s: float | None
    """How long its key stays closed."""
    rate: float
    read_rate: float | None
    saturation: float
    max_in_flight: int
    wallet_left: int | None
    wallet_age_s: float | None
    in_flight: int
    oldest_due_s: float | None
    held: int
    reserved: int
    spent: int
    in_doubt: int
    oldest_hold_s: float | None
    uncollected: int
    oldest_uncollected_s: float | None


# All spans are of the server's clock. A generation in doubt keeps what it has: its reservation if one was made. What a
# batch has committed and does not hold is spent by its account; of a pool each generation's account spends, which the
# sums beside seals and the entries after the last one tell without reading what is sealed or archived.
_ACCOUNTS = text("""
    WITH pooled AS (
        SELECT f.account_id, sum(f.credits * ((f.target = 'spent')::int - (f.source = 'spent')::int))::bigint AS spent
        FROM (
            SELECT account_id, source, target, credits FROM pool_rollup
            UNION ALL
            SELECT g.account_id, e.source, e.target, e.credits
            FROM credit_entry e JOIN batch b ON b.id = e.batch_id JOIN generation g ON g.id = e.generation_id
            WHERE e.id > (SELECT coalesce(max(last_entry_id), 0) FROM seal) AND b.pool IS NOT NULL
                AND 'spent' IN (e.source, e.target)) f
        GROUP BY f.account_id)
    SELECT a.name AS account, a.pause_reason, extract(epoch FROM clock_timestamp() - a.paused_at)::float8 AS paused_s,
        CASE WHEN a.blocked_until > clock_timestamp()
            THEN extract(epoch FROM a.blocked_until - clock_timestamp())::float8 END AS blocked_s,
        a.rate, a.read_rate, a.saturation, a.max_in_flight, a.wallet_left,
        extract(epoch FROM clock_timestamp() - a.wallet_read_at)::float8 AS wallet_age_s,
        s.in_flight, s.uncollected, extract(epoch FROM clock_timestamp() - s.oldest_due_at)::float8 AS oldest_due_s,
        extract(epoch FROM clock_timestamp() - s.uncollected_at)::float8 AS oldest_uncollected_s,
        g.held, g.reserved, b.committed - g.own + coalesce(p.spent, 0) AS spent, g.in_doubt,
        extract(epoch FROM clock_timestamp() - g.admitted_at)::float8 AS oldest_hold_s
    FROM account a
    CROSS JOIN LATERAL (
        SELECT count(*) AS in_flight, min(due_at) FILTER (WHERE due_at <= clock_timestamp()) AS oldest_due_at,
            count(*) FILTER (WHERE step.kind = 'collect') AS uncollected,
            min(since) FILTER (WHERE step.kind = 'collect') AS uncollected_at
        FROM step WHERE account_id = a.id) s
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(committed), 0)::bigint AS committed FROM batch
        WHERE account_id = a.id AND pool IS NULL) b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(held) FILTER (WHERE reserved IS NULL), 0)::bigint AS held,
            coalesce(sum(reserved), 0)::bigint AS reserved,
            coalesce(sum(coalesce(reserved, held)) FILTER (WHERE pool IS NULL), 0)::bigint AS own,
            count(*) FILTER (WHERE generation.state = 'in_doubt') AS in_doubt, min(admitted_at) AS admitted_at
        FROM generation JOIN batch ON batch.id = generation.batch_id
        WHERE generation.account_id = a.id AND generation.state IN ('held', 'sending', 'accepted', 'in_doubt')) g
    LEFT JOIN pooled p ON p.account_id = a.id
    ORDER BY a.name""")
# Both sums are changed in the transaction of each hold, settlement and release: whatever they differ by is an error.
_BOOKS = text("""
    SELECT (SELECT coalesce(sum(committed), 0) FROM batch)::bigint
        - (SELECT coalesce(sum(committed), 0) FROM owner_month)::bigint""")
_MAINTENANCE = text("""
    SELECT a.name AS account, m.kind, m.error IS NOT NULL AS is_failing,
        extract(epoch FROM clock_timestamp() - m.done_at)::float8 AS age_s
    FROM maintenance m JOIN account a ON a.id = m.account_id ORDER BY a.name, m.kind""")


@dataclass(frozen=True, kw_only=True)
class MaintenanceGauges:
    """One kind of maintenance of one account."""

    account: str
    kind: str
    is_failing: bool
    age_s: float
    """Since it last ended without an error."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """All gauges at one instant."""

    accounts: tuple[AccountGauges, ...]
    jobs: Mapping[JobState, int]
    """Of batches that are not done."""
    books_difference: int
    """Credits by which the sums of batches and of owners' months differ: 0, or the books are wrong."""
    maintenance: tuple[MaintenanceGauges, ...]


def limit(tx: Connection) -> None:
    """Have each further statement of the transaction end after ``TIMEOUT_S``."""
    tx.execute(_TIMEOUT, {"milliseconds": str(TIMEOUT_S * 1000)})


def read(tx: Connection) -> Fleet:
    """Return the gauges; raises the database's error when a query takes too long."""
    return Fleet(
        accounts=tuple(AccountGauges(**row) for row in tx.execute(_ACCOUNTS).mappings()),
        jobs=job_counts.of_undone(tx),
        books_difference=tx.execute(_BOOKS).scalar_one(),
        maintenance=tuple(MaintenanceGauges(**row) for row in tx.execute(_MAINTENANCE).mappings()),
    )


_NEWEST = 2_000
"""The newest images are looked at, up to this many."""
_CLOCKS = text("""
    SELECT count(*) AS images, percentile_cont(0.5) WITHIN GROUP (ORDER BY queue_s) AS queue_s,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY provider_s) AS provider_s,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY download_s) AS download_s
    FROM (
        SELECT extract(epoch FROM g.first_sent_at - b.created_at)::float8 AS queue_s,
            extract(epoch FROM g.ended_at - g.accepted_at)::float8 AS provider_s,
            extract(epoch FROM r.stored_at - g.ended_at)::float8 AS download_s
        FROM job j JOIN batch b ON b.id = j.batch_id JOIN result r ON r.job_id = j.id
        JOIN generation g ON g.id = r.generation_id
        WHERE j.ended_at > :since AND j.ended_at > '-infinity' ORDER BY j.ended_at DESC LIMIT :most) newest""")
_ERRORS = text("""
    SELECT kind, error, count(*) AS steps FROM step WHERE error IS NOT NULL AND attempts > 0
    GROUP BY kind, error ORDER BY count(*) DESC, error LIMIT :limit""")
_UNDONE = text("""
    SELECT id FROM batch WHERE done_at IS NULL AND state <> 'refused' ORDER BY id DESC LIMIT :limit""")


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """Medians of the images that were stored lately, in seconds; None where there is none."""

    images: int
    queue_s: float | None
    """From the submission of the batch to the first paid request."""
    provider_s: float | None
    """At the provider, with the time until its end was seen."""
    download_s: float | None


@dataclass(frozen=True, kw_only=True)
class StepErrors:
    """Steps whose last attempt failed with the same error."""

    kind: StepKind
    error: str
    steps: int


def clocks(tx: Connection, *, since: datetime) -> Clocks:
    """Return the clocks of the images that were stored since then."""
    return Clocks(**tx.execute(_CLOCKS, {"since": since, "most": _NEWEST}).mappings().one())


def step_errors(tx: Connection, *, limit: int) -> list[StepErrors]:
    """Return the errors that most steps have now."""
    rows = tx.execute(_ERRORS, {"limit": limit})
    return [StepErrors(kind=StepKind(row.kind), error=row.error, steps=row.steps) for row in rows]


def undone_batches(tx: Connection, *, limit: int) -> list[UUID]:
    """Return the batches that are not done, the newest first."""
    return list(tx.execute(_UNDONE, {"limit": limit}).scalars())


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


def read_demand(tx: Connection, *, now: datetime) -> list[DemandFacts]:
    """Return the facts of each account, by name."""
    rows = tx.execute(_DEMAND, {"now": now, "soon_before": now + AHEAD, "month": month_of(now)}).mappings()
    return [DemandFacts(**row, may_read=_may_read(row["pause_reason"])) for row in rows]


def _may_read(pause_reason: str | None) -> bool:
    return pause_reason is None or PauseReason(pause_reason).permits_reading
