"""Runs of schedules in the database: each fire time claimed once, each run moved on by one node at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.schedule import RunState

_OPEN = "('queued', 'planning', 'approval', 'rendering')"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run."""

    id: UUID
    schedule_id: UUID
    due_at: datetime
    state: RunState
    requested_by: str | None
    plan_id: UUID | None
    batch_id: UUID | None
    spent: int | None
    """Credits that the ledger of its batch says; it changes when a doubt is resolved after its end."""
    outcome: str | None
    lease_until: datetime | None
    """While this node has it: the fence of all that the node writes."""
    started_at: datetime
    ended_at: datetime | None
    price: int | None
    """Credits that its plan would cost at the most."""
    stale_plans: int
    """How many of its plans in a row the catalog has overtaken."""
    checked_at: datetime | None
    """When its waiting plan was last found to be true still."""


_SPENT = """
    (SELECT coalesce(sum(CASE WHEN e.target = 'spent' THEN e.credits ELSE -e.credits END), 0)::bigint
     FROM credit_entry e WHERE e.batch_id = {batch} AND 'spent' IN (e.source, e.target))"""

_SELECT = f"""
    SELECT r.id, r.schedule_id, r.due_at, r.state, r.requested_by, r.plan_id, r.batch_id,
           CASE WHEN r.batch_id IS NULL THEN r.spent ELSE {_SPENT.format(batch="r.batch_id")} END AS spent, r.outcome,
           r.lease_until, r.started_at, r.ended_at, p.price, r.stale_plans, r.checked_at
    FROM schedule_run r LEFT JOIN catalog_plan p ON p.id = r.plan_id"""

_CLAIM = text("""
    INSERT INTO schedule_run (id, schedule_id, due_at, state, requested_by, outcome, started_at, ended_at)
    VALUES (:id, :schedule_id, :due_at, :state, :requested_by, :outcome, :now, :ended_at)
    ON CONFLICT (schedule_id, due_at) DO NOTHING RETURNING id""")


def claim(
    tx: Connection,
    *,
    run_id: UUID,
    schedule_id: UUID,
    due_at: datetime,
    state: RunState,
    now: datetime,
    requested_by: str | None = None,
    outcome: str | None = None,
) -> bool:
    """Write the run of a fire time; False when it has one already."""
    values = {
        "id": run_id,
        "schedule_id": schedule_id,
        "due_at": due_at,
        "state": state,
        "requested_by": requested_by,
        "outcome": outcome,
        "now": now,
        "ended_at": now if state is RunState.SKIPPED else None,
    }
    return tx.execute(_CLAIM, values).scalar() is not None


def of(tx: Connection, schedule_id: UUID, *, limit: int) -> list[RunRow]:
    """Return the newest runs, newest first."""
    query = f"{_SELECT} WHERE r.schedule_id = :id ORDER BY r.due_at DESC LIMIT :limit"
    return [_row(row) for row in tx.execute(text(query), {"id": schedule_id, "limit": limit}).mappings()]


def by_id(tx: Connection, run_id: UUID) -> RunRow:
    """Return one run; raise when there is none."""
    return _row(tx.execute(text(f"{_SELECT} WHERE r.id = :id"), {"id": run_id}).mappings().one())


def is_known(tx: Connection, run_id: UUID) -> bool:
    """Whether there is such a run."""
    return tx.execute(text("SELECT 1 FROM schedule_run WHERE id = :id"), {"id": run_id}).one_or_none() is not None


def unfinished(tx: Connection, schedule_id: UUID) -> list[RunRow]:
    """Return the schedule's runs that have not ended, in the order in which they were requested."""
    query = f"{_SELECT} WHERE r.schedule_id = :id AND r.state IN {_OPEN} ORDER BY r.started_at, r.id"
    return [_row(row) for row in tx.execute(text(query), {"id": schedule_id}).mappings()]


def free(tx: Connection, account_id: UUID, *, now: datetime) -> list[UUID]:
    """Return the runs of the account's schedules that have not ended and that no node works on, oldest first."""
    query = f"""
        SELECT r.id FROM schedule_run r JOIN schedule s ON s.id = r.schedule_id
        WHERE r.state IN {_OPEN} AND (r.lease_until IS NULL OR r.lease_until <= :now)
          AND coalesce(s.account_id, :account) = :account
        ORDER BY r.started_at, r.id"""
    return list(tx.execute(text(query), {"now": now, "account": account_id}).scalars())


_LEASE = text(f"""
    UPDATE schedule_run SET lease_until = :lease_until
    WHERE id = :id AND state IN {_OPEN} AND (lease_until IS NULL OR lease_until <= :now) RETURNING id""")


def lease(tx: Connection, run_id: UUID, *, now: datetime, lease_until: datetime) -> RunRow | None:
    """Lease a run for this node; None when another node has it, or it is over."""
    values = {"id": run_id, "now": now, "lease_until": lease_until}
    taken = tx.execute(_LEASE, values).scalar()
    return None if taken is None else by_id(tx, run_id)


_MOVE = text(f"""
    UPDATE schedule_run SET state = :state, plan_id = :plan_id, batch_id = :batch_id, spent = :spent,
           outcome = :outcome, ended_at = :ended_at, lease_until = :lease_until, stale_plans = :stale_plans,
           checked_at = :checked_at
    WHERE id = :id AND lease_until = :fence AND state IN {_OPEN}""")


def move(tx: Connection, run: RunRow, changed: RunRow) -> bool:
    """Store the new state of a run; False, and nothing stored, when another node has leased it since."""
    values = {
        "id": run.id,
        "fence": run.lease_until,
        "state": changed.state,
        "plan_id": changed.plan_id,
        "batch_id": changed.batch_id,
        "spent": changed.spent,
        "outcome": changed.outcome,
        "ended_at": changed.ended_at,
        "lease_until": changed.lease_until,
        "stale_plans": changed.stale_plans,
        "checked_at": changed.checked_at,
    }
    return tx.execute(_MOVE, values).rowcount == 1


def end(tx: Connection, run_id: UUID, *, outcome: str, now: datetime) -> bool:
    """End a run that has no batch yet, also under another node's lease; False when it has ended or has one."""
    changed = tx.execute(
        text("""
            UPDATE schedule_run SET state = 'skipped', outcome = :outcome, spent = 0, ended_at = :now
            WHERE id = :id AND state IN ('queued', 'planning', 'approval')"""),
        {"id": run_id, "outcome": outcome, "now": now},
    )
    return changed.rowcount == 1


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the batch of a run is."""

    pending: int
    active: int
    succeeded: int
    failed: int
    """Failed, cancelled or in doubt."""
    spent: int
    is_capped: bool
    """Whether its next job does not fit the cap any more; a paused batch waits to be resumed instead."""


_PROGRESS = text(f"""
    SELECT count(*) FILTER (WHERE j.state = 'pending') AS pending,
           count(*) FILTER (WHERE j.state = 'active') AS active,
           count(*) FILTER (WHERE j.state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE j.state IN ('failed', 'cancelled', 'in_doubt')) AS failed,
           coalesce(b.credit_cap - b.committed < min(j.price) FILTER (WHERE j.state = 'pending'), false)
               AND b.state <> 'paused' AS is_capped,
           {_SPENT.format(batch="b.id")} AS spent
    FROM batch b JOIN job j ON j.batch_id = b.id WHERE b.id = :id GROUP BY b.id""")


def progress(tx: Connection, batch_id: UUID) -> Progress:
    """Return the progress of a batch, and the credits that it spent."""
    return Progress(**tx.execute(_PROGRESS, {"id": batch_id}).mappings().one())


def _row(row: Mapping[Any, Any]) -> RunRow:
    return RunRow(**{**row, "state": RunState(row["state"])})
