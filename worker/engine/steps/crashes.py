"""What follows when our own code crashes in a step: it is counted and put off, and at last its job has a named end."""

import traceback
from collections.abc import Callable
from typing import assert_never
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import Connection
from sqlalchemy import exc as database_errors

from worker.core.db import session
from worker.core.db.group_commit import Unwritten
from worker.core.db.statements import StaleFence
from worker.core.rules.states import GenerationState, JobEvent, StepKind
from worker.engine.queries import calls, crashes
from worker.engine.queries import deadlines as doubts
from worker.engine.queries.crashes import Crashed
from worker.engine.queries.deadlines import Sent
from worker.engine.queries.generations import Outcome
from worker.engine.queries.jobs import End
from worker.engine.queries.step_moves import Finish
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import give_up
from worker.engine.rules.give_up import CrashVerdict
from worker.engine.services import Services
from worker.engine.steps import transitions
from worker.engine.steps.transitions import Transition
from worker.ledger.rules import entries as ledger_rules

log = structlog.get_logger(__name__)

_OF_THE_WORLD = (
    database_errors.OperationalError,
    database_errors.InterfaceError,
    database_errors.InternalError,
    database_errors.TimeoutError,
    psycopg.OperationalError,
    psycopg.InternalError,
    Unwritten,
    StaleFence,
    OSError,
    MemoryError,
)
"""Errors that say how the database or the machine is, and not that our code is wrong: these pass."""


def of_ticket(services: Services, ticket: Ticket, do: Callable[[], object]) -> None:
    """Do what a ticket asks for; a crash is recorded for its step."""
    try:
        do()
    except Exception as error:  # noqa: BLE001 - recorded, whatever it is
        _record(services, ticket.job_id, ticket.kind, ticket.fence, error)


def of_work(services: Services, work: Work, do: Callable[[], object]) -> None:
    """Do something for a step that this worker has claimed; a crash is recorded for it."""
    try:
        do()
    except Exception as error:  # noqa: BLE001 - recorded, whatever it is
        _record(services, work.job_id, work.kind, work.fence - 1, error)


def _record(services: Services, job_id: UUID, kind: StepKind, fence: int, error: Exception) -> None:
    """Log the crash, and count it; what comes of the database or the machine is left to the lease."""
    if isinstance(error, _OF_THE_WORLD):
        log.error("step.failed", job=str(job_id), step=kind, exc_info=error)
        return
    words = _described(error)
    try:
        found, verdict = _count(services, job_id, kind, fence, words)
    except Exception:
        log.exception("step.failed", job=str(job_id), step=kind, crash=words)
        return
    crashed = None if found is None else found.crashes
    log.error("step.crashed", job=str(job_id), step=kind, crashes=crashed, verdict=verdict.name, exc_info=error)


def _count(
    services: Services, job_id: UUID, kind: StepKind, fence: int, words: str
) -> tuple[Crashed | None, CrashVerdict]:
    now = services.clock()
    with services.database.transaction() as tx:
        found = crashes.lock(tx, job_id, kind, fence=fence)
        if found is None:
            return None, CrashVerdict.TRY_AGAIN
        age = now - found.since
        verdict = give_up.crash_verdict(kind, crashes=found.crashes, is_perhaps_sent=found.is_perhaps_sent, age=age)
        ended = _act(tx, services, found, verdict, words)
    if ended is not None:
        transitions.tell(ended)
    return found, verdict


def _act(tx: Connection, services: Services, found: Crashed, verdict: CrashVerdict, words: str) -> Transition | None:
    """Do what is to be done about a crash; return the transition where the step has ended with its job."""
    ended: Transition | None = None
    now = services.clock()
    match verdict:
        case CrashVerdict.TRY_AGAIN:
            wait = give_up.CRASH_WAITS.wait(found.crashes, services.jitter())
            crashes.postpone(tx, found, error=f"{give_up.CRASHED}: {words}", due_at=now + wait)
            return None
        case CrashVerdict.FAIL_UNSENT:
            end = End(event=JobEvent.FAIL, code=give_up.CRASHED, message=words)
            void = Outcome(state=GenerationState.VOID, code=give_up.CRASHED, message=words)
            movements = ledger_rules.void(found.held)
            ended = Transition(work=found, step=Finish(), job=end, generation=void, movements=movements)
            transitions.apply(tx, services, [ended])
        case CrashVerdict.DOUBT:
            if found.is_perhaps_sent:
                calls.add_lost_send(tx, found.generation_id)
            sent = Sent(job_id=found.job_id, generation_id=found.generation_id)
            doubts.doubt(tx, [sent], now=now, code=give_up.CRASHED, message=words)
            doubted = Outcome(state=GenerationState.IN_DOUBT, code=give_up.CRASHED, message=words)
            end = End(event=JobEvent.DOUBT, code=give_up.CRASHED, message=words)
            ended = Transition(work=found, step=Finish(), job=end, generation=doubted)
        case CrashVerdict.FAIL_PAID:
            end = End(event=JobEvent.FAIL, code=give_up.CRASHED, message=words)
            ended = Transition(work=found, step=Finish(), job=end)
            transitions.apply(tx, services, [ended])
        case _:
            assert_never(verdict)
    session.notify(tx)
    return ended


def _described(error: Exception) -> str:
    """Return which exception, and where in our code; its words may hold a prompt, and are for the log alone."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/worker/" in frame.filename]
    kind = type(error).__name__
    if not frames:
        return kind
    last = frames[-1]
    path = f"worker/{last.filename.rpartition('/worker/')[2]}"
    return f"{kind} in {last.name} ({path}:{last.lineno})"
