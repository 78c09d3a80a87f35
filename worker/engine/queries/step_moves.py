"""Where claimed steps go: later, on to the next kind, or away.

Each is the guard of the statement that it is part of: what else was to be recorded is dropped when a step is no longer
ours. The generation is part of it: a job that went back in line and came again has a new step, whose fence may have the
same number.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from worker.core.db import statements
from worker.core.db.statements import Part, Row
from worker.core.rules.step import StepKind
from worker.engine.queries.steps import Work

_IS_OURS = "step.job_id = given.job_id AND step.fence = given.fence AND step.generation_id = given.generation_id"
_OURS = "job_id uuid, fence bigint, generation_id uuid"

POSTPONE = Part(
    name="postponed",
    columns=f"{_OURS}, due_at timestamptz, attempts int, polls int, looked_at timestamptz, error text",
    sql=f"""
        UPDATE step SET due_at = given.due_at, lease_until = NULL, attempts = given.attempts, polls = given.polls,
            crashes = 0, looked_at = coalesce(given.looked_at, step.looked_at),
            error = coalesce(left(given.error, 300), CASE WHEN given.attempts > 0 THEN step.error END)
        FROM {{rows}} WHERE {_IS_OURS}""",
    is_guard=True,
)
ADVANCE = Part(
    name="advanced",
    columns=f"{_OURS}, kind text, due_at timestamptz, lease_until timestamptz, since timestamptz",
    sql=f"""
        UPDATE step SET kind = given.kind, due_at = given.due_at, lease_until = given.lease_until, attempts = 0,
            crashes = 0, error = NULL, since = given.since, fence = step.fence + 1
        FROM {{rows}} WHERE {_IS_OURS}""",
    is_guard=True,
)
FINISH = Part(
    name="finished",
    columns=_OURS,
    sql=f"DELETE FROM step USING {{rows}} WHERE {_IS_OURS}",
    is_guard=True,
)


KEEP = Part(
    name="kept",
    columns=f"{_OURS}, lease_until timestamptz",
    sql=f"UPDATE step SET lease_until = given.lease_until FROM {{rows}} WHERE {_IS_OURS}",
    is_guard=True,
)


@dataclass(frozen=True, kw_only=True)
class Postponement:
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
class Advance:
    """A claimed step that goes on to the next kind, under the next fence."""

    work: Work
    kind: StepKind
    now: datetime
    due_at: datetime
    lease_until: datetime | None = None
    """Until then it stays with this worker; None: a dispatcher hands it out."""


def postponing(later: Postponement) -> Row:
    """Return the row for ``POSTPONE``."""
    return _ours(later.work) | {
        "due_at": later.due_at,
        "attempts": later.attempts,
        "polls": later.work.polls if later.polls is None else later.polls,
        "looked_at": later.looked_at,
        "error": None if later.error is None else str(later.error),
    }


def advancing(following: Advance) -> Row:
    """Return the row for ``ADVANCE``."""
    return _ours(following.work) | {
        "kind": following.kind,
        "due_at": following.due_at,
        "lease_until": following.lease_until,
        "since": following.now,
    }


def finishing(work: Work) -> Row:
    """Return the row for ``FINISH``."""
    return _ours(work)


def keep(tx: Connection, work: Work, *, until: datetime) -> None:
    """Keep the step for longer; raises StaleFence when it is no longer ours."""
    statements.run(tx, {KEEP: [_ours(work) | {"lease_until": until}]})


def postpone(tx: Connection, work: Work, *, due_at: datetime, attempts: int = 0, error: object = None) -> None:
    """Let the same kind of step be due later, with what went wrong; raises StaleFence when it is no longer ours."""
    statements.run(tx, {POSTPONE: [postponing(Postponement(work=work, due_at=due_at, attempts=attempts, error=error))]})


def advance(tx: Connection, work: Work, kind: StepKind, *, due_at: datetime, now: datetime) -> None:
    """Go on to the next kind of step; raises StaleFence when it is no longer ours."""
    statements.run(tx, {ADVANCE: [advancing(Advance(work=work, kind=kind, due_at=due_at, now=now))]})


def finish(tx: Connection, work: Work) -> None:
    """Delete the step; raises StaleFence when it is no longer ours."""
    statements.run(tx, {FINISH: [finishing(work)]})


def _ours(work: Work) -> dict[str, object]:
    return {"job_id": work.job_id, "fence": work.fence, "generation_id": work.generation_id}
