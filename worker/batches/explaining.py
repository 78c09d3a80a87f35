"""Explanations of where a job or a batch stands, for commands and pages."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.archive.queries import archived
from worker.batches.queries import explaining as queries
from worker.batches.queries import overview
from worker.batches.queries.overview import Obstacle, Overview
from worker.batches.rules import explaining as rules
from worker.batches.rules.explaining import Archived, BatchFacts, Blocker, Explanation, JobFacts
from worker.core.rules.errors import PauseReason
from worker.core.rules.states import JobState
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow

AHEAD_MOST = 10_000
"""Pending jobs before one are counted up to this."""


def explain_job(
    tx: Connection, job_id: UUID, *, nodes: int, now: datetime, wallet_floor: int | None = None
) -> Explanation | None:
    """Return where a job stands and why; ``nodes`` are those alive. None when there is no such job."""
    row = queries.job(tx, job_id, ahead_most=AHEAD_MOST)
    if row is None:
        return None
    obstacle = None
    if row.state in {JobState.PENDING, JobState.ACTIVE}:
        batch = batches.by_id(tx, row.batch_id)
        assert batch is not None
        obstacle = overview.obstacle(tx, batch, now=now, wallet_floor=wallet_floor)
    facts = JobFacts(
        state=row.state,
        batch_id=str(row.batch_id),
        ended_at=row.ended_at,
        failure_code=row.failure_code,
        failure_message=row.failure_message,
        charged=row.charged,
        held=row.held,
        ahead=row.ahead,
        blocker=_blocker(obstacle, row.pause_reason),
        nodes=nodes,
        step=row.step,
        archived=_archived(tx, row.batch_id),
    )
    return rules.explain_job(facts, now=now)


def explain_batch(
    tx: Connection, batch: BatchRow, *, nodes: int, now: datetime, wallet_floor: int | None = None
) -> Explanation:
    """Return where a batch stands and why; ``nodes`` are those alive."""
    found: Overview = overview.read(tx, batch, now=now, wallet_floor=wallet_floor)
    row = queries.batch(tx, batch.id)
    facts = BatchFacts(
        batch_id=str(batch.id),
        shown_state=found.state,
        state=found.batch.state,
        jobs=found.jobs,
        blocker=_blocker(found.obstacle, row.pause_reason),
        nodes=nodes,
        next_due_at=row.next_due_at,
        archived=_archived(tx, batch.id),
    )
    return rules.explain_batch(facts)


def _archived(tx: Connection, batch_id: UUID) -> Archived | None:
    found = archived.of_batch(tx, batch_id)
    return None if found is None else Archived(at=found.archived_at, folder=found.folder)


def _blocker(obstacle: Obstacle | None, pause_reason: str | None) -> Blocker | None:
    if obstacle is None:
        return None
    return Blocker(
        reason=obstacle.reason,
        next_step=obstacle.next_step,
        ends_by_itself=obstacle.ends_by_itself,
        is_account_paused=obstacle.is_account_paused,
        stops_reads=pause_reason is not None and not PauseReason(pause_reason).permits_reading,
    )


def as_json(found: Explanation) -> dict[str, Any]:
    """Return the explanation as commands and the HTTP API print it."""
    at = None if found.next_at is None else found.next_at.isoformat()
    moved = found.archived
    shown = None if moved is None else {"at": moved.at.isoformat(), "folder": moved.folder}
    return vars(found) | {"verdict": found.verdict.value, "next_at": at, "archived": shown}
