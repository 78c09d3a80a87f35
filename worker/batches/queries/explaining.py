"""What bears on one job or one batch, for the explanation of where it stands."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.batches.queries import overview
from worker.batches.rules.explaining import StepFacts
from worker.core.rules.states import JobState, StepKind
from worker.engine.queries import steps

# What stops a batch of a pool stops the account of it that is nearest to working; a job, the account that began it.
_ACCOUNT = f"""JOIN LATERAL (
        SELECT pause_reason FROM account
        WHERE account.id = coalesce({{own}}, {{batch}}.account_id) OR ({{own}} IS NULL AND account.id IN (
            SELECT account_id FROM batch_account WHERE batch_id = {{batch}}.id))
        ORDER BY {overview.NEAREST_TO_WORKING.format(now="now()")} LIMIT 1) a ON true"""
_JOB = text(f"""
    SELECT j.batch_id, j.key, j.state, j.ended_at, j.failure_code, j.failure_message, g.charged, g.held,
        s.kind, s.due_at, s.lease_until, s.attempts, s.error, g.accepted_at, a.pause_reason,
        CASE WHEN j.state = 'pending' THEN (SELECT count(*) FROM (
            SELECT FROM job b WHERE b.batch_id = j.batch_id AND b.model = j.model AND b.state = 'pending'
                AND b.line < j.line LIMIT CAST(:most AS integer)) before) ELSE 0 END AS ahead
    FROM job j JOIN batch ON batch.id = j.batch_id {_ACCOUNT.format(batch="batch", own="j.account_id")}
    LEFT JOIN step s ON s.job_id = j.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(final), 0)::bigint AS charged,
            coalesce(sum(coalesce(reserved, held)) FILTER (
                WHERE state IN ('held', 'sending', 'accepted', 'in_doubt')), 0)::bigint AS held,
            max(accepted_at) FILTER (WHERE id = s.generation_id) AS accepted_at
        FROM generation WHERE job_id = j.id) g
    WHERE j.id = :id""")


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job with its step."""

    batch_id: UUID
    key: str
    state: JobState
    ended_at: datetime | None
    failure_code: str | None
    failure_message: str | None
    charged: int
    held: int
    ahead: int
    pause_reason: str | None
    step: StepFacts | None


def job(tx: Connection, job_id: UUID, *, ahead_most: int | None) -> JobRow | None:
    """Return the job; None when there is none. Jobs before it are counted up to ``ahead_most``, None: all."""
    row = tx.execute(_JOB, {"id": job_id, "most": ahead_most}).one_or_none()
    if row is None:
        return None
    step = None
    if row.kind is not None:
        step = StepFacts(
            kind=StepKind(row.kind),
            due_at=row.due_at,
            leased_until=row.lease_until,
            attempts=row.attempts,
            error=row.error,
            accepted_at=row.accepted_at,
        )
    return JobRow(
        batch_id=row.batch_id,
        key=row.key,
        state=JobState(row.state),
        ended_at=row.ended_at,
        failure_code=row.failure_code,
        failure_message=row.failure_message,
        charged=row.charged,
        held=row.held,
        ahead=row.ahead,
        pause_reason=row.pause_reason,
        step=step,
    )


_BY_KEY = text("SELECT id FROM job WHERE batch_id = :batch_id AND key = :key")
_OF_BATCH = text(f"""
    SELECT a.pause_reason, (
        SELECT min(s.due_at) FROM {steps.WITH_GENERATION} WHERE g.batch_id = b.id) AS due_at
    FROM batch b {_ACCOUNT.format(batch="b", own="NULL::uuid")} WHERE b.id = :id""")


def by_key(tx: Connection, batch_id: UUID, key: str) -> UUID | None:
    """Return the id of the batch's job with this key."""
    found: UUID | None = tx.execute(_BY_KEY, {"batch_id": batch_id, "key": key}).scalar()
    return found


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """What an overview does not say of a batch."""

    pause_reason: str | None
    next_due_at: datetime | None


def batch(tx: Connection, batch_id: UUID) -> BatchRow:
    """Return the pause of the batch's account, and when the first of its steps is due."""
    row = tx.execute(_OF_BATCH, {"id": batch_id}).one()
    return BatchRow(pause_reason=row.pause_reason, next_due_at=row.due_at)
