"""Deadlines in the database: which batches are past theirs with work left, and how that work is ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.states import LEASES, JobEvent, JobState, StepKind, next_state
from worker.engine.queries import generations
from worker.engine.queries.jobs import Unsubmitted

GRACE = LEASES[StepKind.SUBMIT]
"""So long after the deadline a leased step is left to its node: its answer says more than a doubt."""


def read(tx: Connection, batch_id: UUID) -> datetime | None:
    """Return the batch's deadline."""
    found: datetime | None = tx.execute(text("SELECT deadline_at FROM batch WHERE id = :id"), {"id": batch_id}).scalar()
    return found


def set_at(tx: Connection, batch_id: UUID, deadline_at: datetime | None) -> datetime | None:
    """Set, or with None lift, the deadline of a locked batch; gives the one before."""
    before = read(tx, batch_id)
    tx.execute(text("UPDATE batch SET deadline_at = :at WHERE id = :id"), {"at": deadline_at, "id": batch_id})
    return before


# What a person adopted, or the provider said has ended, is known to be ours and will be downloaded: the deadline
# has nothing more to say about it. Both leave a change behind.
_IS_TAKEN_UP = "EXISTS (SELECT FROM change c WHERE c.subject = 'generation:' || g.id)"

_PASSED = text(f"""
    SELECT id FROM batch
    WHERE account_id = :account_id AND has_pending AND deadline_at <= :now AND state IN ('open', 'paused')
    UNION
    SELECT b.id FROM batch b JOIN batch_account m ON m.batch_id = b.id AND m.account_id = :account_id
    WHERE b.pool IS NOT NULL AND b.has_pending AND b.deadline_at <= :now AND b.state IN ('open', 'paused')
    UNION
    SELECT b.id FROM step s JOIN generation g ON g.id = s.generation_id JOIN batch b ON b.id = g.batch_id
    WHERE s.account_id = :account_id AND s.kind <> 'collect' AND b.deadline_at <= :now AND NOT {_IS_TAKEN_UP}
    ORDER BY id""")


def passed(tx: Connection, account_id: UUID, *, now: datetime) -> list[UUID]:
    """Return the batches whose deadline has passed and that may have pending or live jobs, in the order of locking."""
    return list(tx.execute(_PASSED, {"account_id": account_id, "now": now}).scalars())


# Pending jobs change only under the lock of their batch, so that none is missed or waited for.
_FAIL_PENDING = text("""
    UPDATE job SET state = :target, ended_at = :now, failure_code = :code, failure_message = :message,
        request_id = NULL
    WHERE id IN (SELECT id FROM job WHERE batch_id = :batch_id AND state = 'pending' LIMIT :limit)""")


def fail_pending(tx: Connection, batch_id: UUID, *, limit: int, now: datetime, code: str, message: str) -> int:
    """Fail up to ``limit`` pending jobs of a locked batch; gives how many."""
    values = {"batch_id": batch_id, "limit": limit, "now": now, "code": code, "message": message}
    failed = tx.execute(_FAIL_PENDING, {**values, "target": next_state(JobState.PENDING, JobEvent.FAIL)}).rowcount
    if failed < limit:
        tx.execute(text("UPDATE batch SET has_pending = false WHERE id = :id"), {"id": batch_id})
    return failed


_LOCK_UNSENT = text("""
    SELECT s.job_id, g.id AS generation_id, g.held, g.admitted_at AS held_at FROM step s
    JOIN generation g ON g.id = s.generation_id
    WHERE g.batch_id = :id AND g.state IN ('held', 'sending') AND g.sends = g.answers
      AND s.kind IN ('upload', 'submit')
    ORDER BY s.job_id LIMIT :limit FOR UPDATE OF s, g SKIP LOCKED""")


def lock_unsubmitted(tx: Connection, batch_id: UUID, *, limit: int) -> list[Unsubmitted]:
    """Lock steps and generations of live jobs for which surely nothing was created, but those that are being claimed.

    Either nothing was sent, or every send was answered with what says that it created nothing.
    """
    rows = tx.execute(_LOCK_UNSENT, {"id": batch_id, "limit": limit})
    return [Unsubmitted(job_id=r.job_id, generation_id=r.generation_id, held=r.held, held_at=r.held_at) for r in rows]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A live job that was sent and has not ended."""

    job_id: UUID
    generation_id: UUID


_LOCK_SENT = text(f"""
    SELECT s.job_id, g.id AS generation_id FROM step s
    JOIN generation g ON g.id = s.generation_id JOIN batch b ON b.id = g.batch_id
    WHERE g.batch_id = :id AND s.kind <> 'collect' AND NOT {_IS_TAKEN_UP}
      AND (g.state = 'accepted' OR (g.state = 'sending' AND g.sends > g.answers))
      AND (s.lease_until IS NULL OR s.lease_until <= :now OR b.deadline_at <= :too_late)
    ORDER BY s.job_id LIMIT :limit FOR UPDATE OF s, g SKIP LOCKED""")


def lock_sent(tx: Connection, batch_id: UUID, *, limit: int, now: datetime) -> list[Sent]:
    """Lock steps and generations of live jobs that may have been paid for and have not ended.

    Leased steps are left out until the grace period is over, and so is what was adopted.
    """
    rows = tx.execute(_LOCK_SENT, {"id": batch_id, "limit": limit, "now": now, "too_late": now - GRACE})
    return [Sent(job_id=r.job_id, generation_id=r.generation_id) for r in rows]


_DOUBT = text("""
    WITH gone AS (DELETE FROM step WHERE job_id = ANY(:jobs) RETURNING generation_id, polls)
    UPDATE generation g SET state = 'in_doubt', ended_at = :now, polls = gone.polls, error_code = :code,
        error_message = :message
    FROM gone WHERE g.id = gone.generation_id""")

_DOUBT_JOBS = text("""
    UPDATE job SET state = :target, ended_at = :now, failure_code = :code, failure_message = :message,
        request_id = NULL WHERE id = ANY(:jobs) AND state = 'active'""")


def doubt(tx: Connection, sent: Sequence[Sent], *, now: datetime, code: str, message: str) -> None:
    """End the locked jobs and generations as in doubt: steps gone, credits where they are."""
    values = {"jobs": [each.job_id for each in sent], "now": now, "code": code, "message": message}
    tx.execute(_DOUBT, values)
    tx.execute(_DOUBT_JOBS, {**values, "target": next_state(JobState.ACTIVE, JobEvent.DOUBT)})
    if sent:
        generations.tell_of_doubts(tx, [each.generation_id for each in sent])
