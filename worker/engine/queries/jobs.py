"""Jobs in the database: admission, and the ends that they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.statements import Row, StaleFence, StatementPart
from worker.core.rules.states import BatchState, JobEvent, JobState, next_state
from worker.ledger.queries.budgets import HOLD


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A job that has just become active."""

    job_id: UUID
    batch_id: UUID
    number: int
    """Of the generation that it is about to get, from 1."""
    price: int
    """What it holds: its list price, or what the provider last reserved for its model if that is more."""
    references: tuple[str, ...]
    """The hashes of its references."""
    has_upload: bool
    """Whether the provider already holds all of them."""
    is_uploading: bool
    """Whether another job is having one of them uploaded at this moment."""


FRESH_LOOKED_AT = 50
"""So many pending jobs of a batch, the next in line, are looked at for those that were tried least often."""

_ADMIT = text(f"""
    WITH picked AS (
        SELECT first.* FROM batch b CROSS JOIN unnest(b.models) m(model) CROSS JOIN LATERAL (
            SELECT id, {HOLD.format(account_id=":account_id")} AS price, line, generations FROM job
            WHERE batch_id = :batch_id AND job.model = m.model AND state = 'pending'
                AND (job.account_id IS NULL OR job.account_id = :account_id)
            ORDER BY line LIMIT :considered FOR NO KEY UPDATE SKIP LOCKED) first
        WHERE b.id = :batch_id AND m.model <> ALL(CAST(:paused AS text[]))
        ORDER BY CASE WHEN :prefers_fresh THEN first.generations END, first.line LIMIT :limit),
    affordable AS (
        SELECT id, line, price FROM (SELECT id, line, price, sum(price) OVER (ORDER BY line) AS total FROM picked) t
        WHERE CAST(:cap_left AS bigint) IS NULL OR total <= :cap_left),
    admitted AS (
        UPDATE job SET state = 'active', generations = generations + 1, ended_at = NULL, account_id = :bound_to
        FROM affordable WHERE job.id = affordable.id
        RETURNING job.id, job.batch_id, job.generations, affordable.price, job.reference_hash, job.further_references,
                  job.line)
    SELECT a.id, a.batch_id, a.generations, a.price, a.reference_hash, a.further_references,
           coalesce(u.uploaded_at > :fresh_after, false) AND NOT EXISTS (
               SELECT FROM unnest(a.further_references) hash WHERE NOT EXISTS (
                   SELECT FROM upload f WHERE f.account_id = :account_id AND f.reference_hash = hash
                      AND f.uploaded_at > :fresh_after)) AS has_upload,
           coalesce(u.url IS NULL AND u.lease_until > :now, false) OR EXISTS (
               SELECT FROM upload f WHERE f.account_id = :account_id AND f.reference_hash = ANY(a.further_references)
                  AND f.url IS NULL AND f.lease_until > :now) AS is_uploading,
           (SELECT count(*) FROM picked) AS picked
    FROM admitted a
    LEFT JOIN upload u ON u.account_id = :account_id AND u.reference_hash = a.reference_hash
    ORDER BY a.line""")


def admit(
    tx: Connection,
    *,
    account_id: UUID,
    batch_id: UUID,
    limit: int,
    cap_left: int | None,
    fresh_after: datetime,
    now: datetime,
    paused_models: Sequence[str] = (),
    prefers_fresh: bool = False,
    is_pooled: bool = False,
) -> list[Admitted]:
    """Make the first pending jobs of a batch active, in line order, as far as their prices fit under ``cap_left``.

    Those of paused models are left in line. With ``prefers_fresh`` those of the next in line that were tried least
    often come first: others may have bad prompts. Of a batch ``is_pooled`` those of other accounts are passed over, and
    the admitted are this account's for ever.
    The caller has locked the batch and posts their holds in the same transaction.
    """
    rows = tx.execute(
        _ADMIT,
        {
            "account_id": account_id,
            "batch_id": batch_id,
            "limit": limit,
            "considered": max(limit, FRESH_LOOKED_AT) if prefers_fresh else limit,
            "prefers_fresh": prefers_fresh,
            "bound_to": account_id if is_pooled else None,
            "cap_left": cap_left,
            "fresh_after": fresh_after,
            "now": now,
            "paused": list(paused_models),
        },
    )
    return [
        Admitted(
            job_id=r.id,
            batch_id=r.batch_id,
            number=r.generations,
            price=r.price,
            references=() if r.reference_hash is None else (r.reference_hash, *(r.further_references or ())),
            has_upload=r.has_upload,
            is_uploading=r.is_uploading,
        )
        for r in rows
    ]


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of an active job, and why it failed, if it did."""

    event: JobEvent
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


END = StatementPart(
    name="jobs_ended",
    columns="id uuid, state text, code text, message text, request_id text, ended_at timestamptz",
    sql="""
        UPDATE job SET state = given.state, ended_at = given.ended_at, failure_code = given.code,
            failure_message = given.message, request_id = given.request_id
        FROM {rows} WHERE job.id = given.id AND job.state = 'active'""",
    is_guard=True,
)


def ending(job_id: UUID, end: End, *, now: datetime) -> Row:
    """Return the row for ``END``."""
    return {
        "id": job_id,
        "state": next_state(JobState.ACTIVE, end.event),
        "code": end.code,
        "message": end.message,
        "request_id": end.request_id,
        "ended_at": now,
    }


@dataclass(frozen=True, kw_only=True)
class Requeue:
    """Return an active job to pending, in its old position."""

    failures: int = 0
    """Attempts that count against it."""
    code: str | None = None
    message: str | None = None


_YIELD = text("""
    UPDATE job SET state = :target, failures = failures + :failures, ended_at = :ended_at,
        failure_code = coalesce(:code, failure_code), failure_message = coalesce(:message, failure_message)
    WHERE id = :id AND state = 'active'""")

_EXPECT = text("UPDATE batch SET has_pending = (state <> 'cancelled') WHERE id = :id RETURNING state")


def requeue(tx: Connection, job_id: UUID, change: Requeue, *, batch_id: UUID, now: datetime) -> None:
    """Return an active job to pending; locks the batch first. Raises StaleFence if it is not active.

    In a batch that was cancelled meanwhile the job is cancelled: nothing there is ever admitted again. In one that
    is paused it waits with the others.
    """
    is_withdrawn = tx.execute(_EXPECT, {"id": batch_id}).scalar_one() == BatchState.CANCELLED
    event = JobEvent.CANCEL if is_withdrawn else JobEvent.YIELD
    changed = tx.execute(
        _YIELD,
        {
            "id": job_id,
            "target": next_state(JobState.ACTIVE, event),
            "ended_at": now if is_withdrawn else None,
            **vars(change),
        },
    )
    if changed.rowcount == 0:
        raise StaleFence


def cancel_pending(tx: Connection, batch_id: UUID, *, now: datetime) -> int:
    """Cancel every job of the batch that was not admitted; gives how many."""
    changed = tx.execute(
        text("""
            UPDATE job SET state = 'cancelled', ended_at = :now
            WHERE batch_id = :id AND state = 'pending'"""),
        {"id": batch_id, "now": now},
    )
    return changed.rowcount


@dataclass(frozen=True, kw_only=True)
class Unsubmitted:
    """A live job for which surely nothing was created at the provider."""

    job_id: UUID
    generation_id: UUID
    held: int
    held_at: datetime


def lock_unsubmitted(tx: Connection, batch_id: UUID) -> list[Unsubmitted]:
    """Lock steps and generations of the live jobs for which nothing can have been created.

    Those that are being claimed are left alone.
    Both are locked, so that both are looked at again if a claim was committed a moment ago.
    """
    rows = tx.execute(
        text("""
            SELECT s.job_id, g.id AS generation_id, g.held, g.admitted_at AS held_at FROM step s
            JOIN generation g ON g.id = s.generation_id
            WHERE g.batch_id = :id AND g.state IN ('held', 'sending') AND g.sends = g.answers
              AND s.kind IN ('upload', 'submit')
            ORDER BY s.job_id FOR UPDATE OF s, g SKIP LOCKED"""),
        {"id": batch_id},
    )
    return [Unsubmitted(job_id=r.job_id, generation_id=r.generation_id, held=r.held, held_at=r.held_at) for r in rows]


_VOID = text("""
    UPDATE generation SET state = 'void', ended_at = :now, error_code = :code, error_message = :message
    WHERE id = ANY(:ids)""")

_END_UNSENT = text("""
    UPDATE job SET state = :target, ended_at = :now, failure_code = :code, failure_message = :message,
        request_id = NULL WHERE id = ANY(:ids) AND state = 'active'""")


def end_unsent(
    tx: Connection,
    unsent: Sequence[Unsubmitted],
    event: JobEvent,
    *,
    now: datetime,
    code: str | None = None,
    message: str | None = None,
) -> None:
    """End live jobs whose steps are locked: steps gone, generations void; the caller posts the voids."""
    ids = [each.job_id for each in unsent]
    why = {"now": now, "code": code, "message": message}
    tx.execute(text("DELETE FROM step WHERE job_id = ANY(:ids)"), {"ids": ids})
    tx.execute(_VOID, {"ids": [each.generation_id for each in unsent], **why})
    changed = tx.execute(_END_UNSENT, {"ids": ids, "target": next_state(JobState.ACTIVE, event), **why})
    if changed.rowcount != len(ids):
        raise StaleFence


def count_active(tx: Connection, batch_id: UUID) -> int:
    """Count the batch's live jobs."""
    count: int = tx.execute(
        text("SELECT count(*) FROM job WHERE batch_id = :id AND state = 'active'"), {"id": batch_id}
    ).scalar_one()
    return count
