"""Figures of the console's home page: open, in doubt and lately done; and the ages of what is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.audit.rules.reporting import AgeClass, age_class
from worker.core.rules.states import LIVE_GENERATIONS, GenerationState

LATELY = timedelta(minutes=5)
"""Over which the images per second are counted."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Work of an account that waits, and that has ended."""

    waiting: int
    """Jobs that wait to be admitted; those of pools are no account's before one admits them."""
    held_back: int
    """Jobs that wait in paused batches."""
    ended_lately: int
    """Images that were collected within ``LATELY``."""
    last_ended_at: datetime | None
    in_doubt: int
    doubted_credits: int
    doubted_at: datetime | None
    """When the oldest of them came to be in doubt."""


_ACTIVITY = text("""
    SELECT p.waiting, p.held_back,
        (SELECT count(*) FROM job j JOIN batch b ON b.id = j.batch_id
            WHERE j.ended_at > :since AND j.ended_at > '-infinity' AND j.state = 'succeeded'
                AND coalesce(j.account_id, b.account_id) = :id) AS ended_lately,
        (SELECT max(ended_at) FROM job WHERE ended_at > '-infinity') AS last_ended_at,
        d.in_doubt, d.doubted_credits, d.doubted_at
    FROM (SELECT count(*) AS in_doubt, coalesce(sum(coalesce(reserved, held)), 0)::bigint AS doubted_credits,
            min(ended_at) AS doubted_at
        FROM generation WHERE account_id = :id AND state = 'in_doubt') d,
        (SELECT coalesce(sum(c.pending) FILTER (WHERE b.state <> 'paused'), 0)::bigint AS waiting,
            coalesce(sum(c.pending) FILTER (WHERE b.state = 'paused'), 0)::bigint AS held_back
        FROM batch b JOIN job_count c ON c.batch_id = b.id
        WHERE b.account_id = :id AND b.pool IS NULL AND b.done_at IS NULL AND b.state <> 'refused') p""")


def activity(tx: Connection, account_id: UUID, *, now: datetime) -> Activity:
    """Return the activity of an account."""
    row = tx.execute(_ACTIVITY, {"id": account_id, "since": now - LATELY}).mappings().one()
    return Activity(**row)


@dataclass(frozen=True, kw_only=True)
class PoolActivity:
    """Work that waits for whichever account of a pool is free first."""

    name: str
    accounts: list[str]
    """Those of its batches, by name."""
    waiting: int
    """Jobs that wait to be admitted."""
    held_back: int
    """Jobs that wait in paused batches."""


_POOLS = text("""
    WITH pooled AS (
        SELECT b.id, b.pool, b.state, sum(c.pending) AS pending FROM batch b JOIN job_count c ON c.batch_id = b.id
        WHERE b.pool IS NOT NULL AND b.done_at IS NULL AND b.state <> 'refused'
        GROUP BY b.id HAVING sum(c.pending) > 0)
    SELECT p.pool AS name, coalesce(sum(p.pending) FILTER (WHERE p.state <> 'paused'), 0)::bigint AS waiting,
        coalesce(sum(p.pending) FILTER (WHERE p.state = 'paused'), 0)::bigint AS held_back,
        ARRAY(SELECT DISTINCT a.name FROM pooled o JOIN batch_account m ON m.batch_id = o.id
            JOIN account a ON a.id = m.account_id WHERE o.pool = p.pool ORDER BY a.name) AS accounts
    FROM pooled p GROUP BY p.pool ORDER BY p.pool""")


def pools(tx: Connection) -> list[PoolActivity]:
    """Return each pool that has pending jobs, by name."""
    return [PoolActivity(**row) for row in tx.execute(_POOLS).mappings()]


@dataclass(frozen=True, kw_only=True)
class OwnerMonth:
    """What an owner has committed this month; ``cap`` None: without a bound."""

    owner: str
    committed: int
    cap: int | None


_OWNERS = text("""
    SELECT coalesce(m.owner, c.owner) AS owner, coalesce(m.committed, 0) AS committed, c.monthly_cap AS cap
    FROM (SELECT owner, committed FROM owner_month WHERE month = :month AND committed > 0) m
    FULL JOIN owner_cap c ON c.owner = m.owner
    ORDER BY c.monthly_cap IS NULL, coalesce(m.committed, 0) DESC, 1""")


def owners(tx: Connection, month: date) -> list[OwnerMonth]:
    """Return every owner with a cap or a commitment in this month, those with a cap first."""
    return [OwnerMonth(**row) for row in tx.execute(_OWNERS, {"month": month}).mappings()]


@dataclass(frozen=True, kw_only=True)
class Open:
    """What has been open for so long."""

    age: AgeClass
    generations: int
    credits: int


# By hours, so that the classes are those of the report, whose borders are whole hours.
_OPEN = text("""
    SELECT date_bin('1 hour', admitted_at, CAST(:now AS timestamptz)) AS since, count(*) AS generations,
        sum(coalesce(reserved, held))::bigint AS credits
    FROM generation WHERE state = ANY(:states) GROUP BY 1""")
_STATES = sorted([*LIVE_GENERATIONS, GenerationState.IN_DOUBT])


def open_by_age(tx: Connection, *, now: datetime) -> Sequence[Open]:
    """Return what is open in each class of age, the youngest first."""
    found = dict.fromkeys(AgeClass, (0, 0))
    for row in tx.execute(_OPEN, {"now": now, "states": _STATES}):
        # A bin ends an hour after it begins: the youngest in it decides, and no border of a class is inside of one.
        age = age_class(now - row.since - timedelta(hours=1))
        generations, credits_ = found[age]
        found[age] = (generations + row.generations, credits_ + row.credits)
    return [Open(age=age, generations=count, credits=credits_) for age, (count, credits_) in found.items()]
