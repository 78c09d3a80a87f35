"""Batches are looked at for what is to be told of them: that they are done, or held up."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.batches.queries import batch_events, overview
from worker.batches.queries.batch_events import HeldUp
from worker.core.db import outbox
from worker.core.db.session import Database
from worker.core.rules import events
from worker.core.rules.events import EventType
from worker.core.rules.states import ENDED_JOBS
from worker.engine.queries import batches

log = structlog.get_logger(__name__)


def write_due(database: Database, *, now: datetime) -> None:
    """Note batches that are done, and write the events of these and of batches that are held up.

    Any number of nodes may look at once. Each look is two short queries while there is nothing to tell.
    """
    with database.transaction() as tx:
        done = batch_events.note_done(tx, now=now)
        if done and outbox.is_wanted(tx, EventType.BATCH_DONE):
            for batch_id in done:
                _tell_done(tx, batch_id, now)
    for batch_id in done:
        log.info("batch.done", batch=str(batch_id))
    with database.transaction() as tx:
        for found in batch_events.held_up(tx, now=now):
            _tell_held_up(tx, found)


def _tell_done(tx: Connection, batch_id: UUID, now: datetime) -> None:
    batch = batches.by_id(tx, batch_id)
    assert batch is not None
    found = overview.read(tx, batch, now=now)
    data = {
        "batch": events.batch_named(batch.id, batch.name, batch.owner),
        "state": batch.state,
        "jobs": {state.value: found.jobs[state] for state in sorted(ENDED_JOBS)},
        "credits": {
            "spent": found.spent,
            "reserved": found.reserved,
            "committed": found.held + found.reserved + found.spent,
            "cap": batch.credit_cap,
        },
        "created_at": batch.created_at.isoformat(),
        "done_at": now.isoformat(),
    }
    outbox.emit(tx, EventType.BATCH_DONE, data, subject=f"batch:{batch.id}")


def _tell_held_up(tx: Connection, found: HeldUp) -> None:
    data = {
        "batch": events.batch_named(found.id, found.name, found.owner),
        "reason": found.reason,
        "credits": {"committed": found.committed, "cap": found.cap, "next_job": found.next_job},
        "deadline_at": found.deadline_at and found.deadline_at.isoformat(),
    }
    outbox.emit(tx, EventType.BATCH_HELD_UP, data, subject=f"batch:{found.id}", once_key=found.once_key)
