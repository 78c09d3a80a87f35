"""Where claimed steps go: later, on to the next kind, or away; any number of them with one statement.

Each raises StaleFence when a step is no longer ours; the caller's transaction is rolled back then.

The generation is part of each guard: a job that went back in line and came again has a new step, whose fence may have
the same number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from worker.db.steps import StaleFence, Work
from worker.domain.step import StepKind


@dataclass(frozen=True, kw_only=True)
class Later:
    """A claimed step whose kind is due again later."""

    work: Work
    due_at: datetime
    attempts: int = 0
    polls: int | None = None
    """None: as many as before."""
    looked_at: datetime | None = None
    """When the provider has just said that the generation has not ended."""
    error: object = None
    """What went wrong; None leaves the words of the try before, as long as there are ``attempts``."""


@dataclass(frozen=True, kw_only=True)
class Next:
    """A claimed step that goes on to the next kind, under the next fence."""

    work: Work
    kind: StepKind
    due_at: datetime
    lease_until: datetime | None = None
    """Until then it stays with this worker; None: a dispatcher hands it out."""


_POSTPONE = text("""
    UPDATE step SET due_at = held.due_at, lease_until = NULL, attempts = held.attempts, polls = held.polls,
        looked_at = coalesce(held.looked_at, step.looked_at),
        error = CASE WHEN held.attempts > 0 THEN coalesce(left(held.error, 300), step.error) END
    FROM unnest(CAST(:job_ids AS uuid[]), CAST(:fences AS bigint[]), CAST(:generation_ids AS uuid[]),
            CAST(:due_ats AS timestamptz[]), CAST(:attempts AS integer[]), CAST(:polls AS integer[]),
            CAST(:looked_ats AS timestamptz[]), CAST(:errors AS text[]))
        AS held (job_id, fence, generation_id, due_at, attempts, polls, looked_at, error)
    WHERE step.job_id = held.job_id AND step.fence = held.fence AND step.generation_id = held.generation_id""")


def postpone_all(tx: Connection, later: Sequence[Later]) -> None:
    """Let the same kinds of step be due later, with what went wrong."""
    _move(
        tx,
        _POSTPONE,
        [one.work for one in later],
        due_ats=[one.due_at for one in later],
        attempts=[one.attempts for one in later],
        polls=[one.work.polls if one.polls is None else one.polls for one in later],
        looked_ats=[one.looked_at for one in later],
        errors=[None if one.error is None else str(one.error) for one in later],
    )


_ADVANCE = text("""
    UPDATE step SET kind = held.kind, due_at = held.due_at, lease_until = held.lease_until, attempts = 0, error = NULL,
        since = :now, fence = step.fence + 1
    FROM unnest(CAST(:job_ids AS uuid[]), CAST(:fences AS bigint[]), CAST(:generation_ids AS uuid[]),
            CAST(:kinds AS text[]), CAST(:due_ats AS timestamptz[]), CAST(:leases AS timestamptz[]))
        AS held (job_id, fence, generation_id, kind, due_at, lease_until)
    WHERE step.job_id = held.job_id AND step.fence = held.fence AND step.generation_id = held.generation_id""")


def advance_all(tx: Connection, following: Sequence[Next], *, now: datetime) -> None:
    """Go on to the next kinds of step."""
    _move(
        tx,
        _ADVANCE,
        [one.work for one in following],
        kinds=[one.kind for one in following],
        due_ats=[one.due_at for one in following],
        leases=[one.lease_until for one in following],
        now=now,
    )


_FINISH = text("""
    DELETE FROM step
    USING unnest(CAST(:job_ids AS uuid[]), CAST(:fences AS bigint[]), CAST(:generation_ids AS uuid[]))
        AS held (job_id, fence, generation_id)
    WHERE step.job_id = held.job_id AND step.fence = held.fence AND step.generation_id = held.generation_id""")


def finish_all(tx: Connection, works: Sequence[Work]) -> None:
    """Delete the steps: their jobs have ended or gone back in line."""
    _move(tx, _FINISH, works)


def postpone(tx: Connection, work: Work, *, due_at: datetime, attempts: int = 0, error: object = None) -> None:
    """Let the same kind of step be due later, with what went wrong."""
    postpone_all(tx, [Later(work=work, due_at=due_at, attempts=attempts, error=error)])


def advance(tx: Connection, work: Work, kind: StepKind, *, due_at: datetime, now: datetime) -> None:
    """Go on to the next kind of step."""
    advance_all(tx, [Next(work=work, kind=kind, due_at=due_at)], now=now)


def finish(tx: Connection, work: Work) -> None:
    """Delete the step."""
    finish_all(tx, [work])


def _move(tx: Connection, statement: TextClause, works: Sequence[Work], **values: object) -> None:
    held = {
        "job_ids": [work.job_id for work in works],
        "fences": [work.fence for work in works],
        "generation_ids": [work.generation_id for work in works],
    }
    if tx.execute(statement, {**held, **values}).rowcount != len(works):
        raise StaleFence
