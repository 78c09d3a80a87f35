"""What an outcome does to the rows of a claimed step: one value, and one way to apply it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar, assert_never, get_args

import structlog
from sqlalchemy import Connection

from worker.core import tracing
from worker.core.db import session, statements
from worker.core.db.statements import Row, StaleFence, StatementPart
from worker.core.rules.states import GenerationState, JobEvent, JobState, next_state
from worker.engine.queries import batches, calls, generations, jobs, results, step_moves
from worker.engine.queries.crashes import Crashed
from worker.engine.queries.generations import Acceptance, Outcome
from worker.engine.queries.jobs import End, Requeue
from worker.engine.queries.results import Result
from worker.engine.queries.step_moves import Advance, Finish, Postpone
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps.calling import Calls
from worker.ledger.queries import entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as ledger_rules
from worker.ledger.rules.entries import Movement

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Transition:
    """The next state of a step, and what changes with it; None and empty: unchanged."""

    work: Work | Crashed
    step: Postpone | Advance | Finish
    job: End | Requeue | None = None
    generation: generations.Change | None = None
    movements: Sequence[Movement] = ()
    """The credits that move."""
    result: Result | None = None
    """The image that was stored."""
    calls: Calls | None = None
    """What was called for it."""
    is_providers_fault: bool = False
    """Whether the failure is the provider's: it is taken off other jobs, too."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What else the line of a failed generation says in the log."""
    then: Callable[[Connection], None] | None = None
    """What else belongs to it: written last, as it locks rows that come later in the order."""

    @property
    def locks_batch(self) -> bool:
        """Whether its job fails or goes back in line, or what the batch has committed changes."""
        is_given_up = isinstance(self.job, Requeue) or (self.job is not None and self.job.event is JobEvent.FAIL)
        return is_given_up or ledger_rules.committed(self.movements) != 0

    @property
    def is_plain(self) -> bool:
        """Whether it locks nothing but its own rows, so that others may be applied beside it."""
        return not self.locks_batch and self.then is None


def apply(tx: Connection, services: Services, transitions: Sequence[Transition]) -> list[Transition]:
    """Move steps on with all that belongs to it; plain ones take one statement. Raises StaleFence: then roll back.

    Locks are taken in the order account, step, batch, job, generation, and a transaction that holds a batch skips
    steps that are locked, so that there is no deadlock. So of several transitions all must be plain: two transactions
    could lock their batches in different orders.
    """
    now = services.clock()
    changes = _changes(transitions, now)
    locking = [each for each in transitions if each.locks_batch]
    if not locking:
        statements.run(tx, changes)
    else:
        statements.run(tx, {part: changes[part] for part in _STEPS})
        for each in locking:
            _lock_and_commit(tx, each, now)
        statements.run(tx, {part: changes[part] for part in _REST})
    for each in transitions:
        if each.then is not None:
            each.then(tx)
    return list(transitions)


def _lock_and_commit(tx: Connection, transition: Transition, now: datetime) -> None:
    """Change the batch beside its step, under the batch's lock; a job that fails or goes back lets others start."""
    work = transition.work
    batches.lock(tx, work.batch_id)
    entries.commit_to(tx, transition.movements, batch_id=work.batch_id, held_at=work.admitted_at)
    if isinstance(transition.job, Requeue):
        jobs.requeue(tx, work.job_id, transition.job, batch_id=work.batch_id, now=now)
    if transition.job is not None:
        session.notify(tx)


_STEPS = (step_moves.ADVANCE, step_moves.POSTPONE, step_moves.FINISH)
_REST = (
    jobs.END,
    entries.POST,
    *(change.part for change in get_args(generations.Change)),
    results.ADD,
    calls.ADD,
)


def _changes(transitions: Sequence[Transition], now: datetime) -> dict[StatementPart, list[Row]]:
    """Collect the rows of each part, the parts in an order that is always the same: one statement for all of them."""
    rows: dict[StatementPart, list[Row]] = {part: [] for part in (*_STEPS, *_REST)}
    for transition in transitions:
        work, change = transition.work, transition.generation
        rows[transition.step.part].append(step_moves.row(work, transition.step))
        if isinstance(transition.job, End):
            rows[jobs.END].append(jobs.ending(work.job_id, transition.job, now=now))
        if change is not None:
            rows[change.part].append(generations.row(work.generation_id, change, now=now))
        posting = Posting(batch_id=work.batch_id, generation_id=work.generation_id, movements=transition.movements)
        rows[entries.POST] += entries.posting_rows([posting], now=now)
        if transition.result is not None:
            rows[results.ADD].append(results.adding(transition.result, now=now))
        if transition.calls is not None:
            rows[calls.ADD] += transition.calls.rows()
    return rows


def write_alone(
    services: Services, work: Work, decide: Callable[[Connection], Transition], calls: Calls | None = None
) -> Transition | None:
    """Decide on a transition and apply it, in one transaction of its own; return it.

    None when another process has moved the step on: then only the calls are written, as late ones.
    """

    def written() -> Transition:
        with services.database.transaction() as tx:
            [applied] = apply(tx, services, [replace(decide(tx), calls=calls)])
        tell(applied)
        return applied

    return unless_stale(work, calls, written)


def unless_stale(work: Work, calls: Calls | None, write: Callable[[], T]) -> T | None:
    """Return the result of the write; None when another process has advanced the step since."""
    try:
        return write()
    except StaleFence:
        log.info("step.stale", **ids(work), step=work.kind)
        if calls is not None:
            calls.write_late()
        return None


def ids(work: Work | Crashed) -> dict[str, str]:
    """Name the work in a log line."""
    named = {"job": str(work.job_id), "generation": str(work.generation_id)}
    return named | {"key": work.key} if isinstance(work, Work) else named


Continuation = Callable[[Callable[[], Transition]], None]
"""Receives a callable that returns the transition that was applied, or raises.

It may be called in the thread that writes, so it hands nothing in itself, which could wait for that thread for ever.
"""


def apply_together(services: Services, work: Work, transition: Transition, then: Continuation) -> None:
    """Have a transition applied soon, with those of other threads, and go on; ``then`` is called afterwards.

    One that is not plain has a transaction for itself, and is applied before this returns.
    """
    if services.writers is None or not transition.is_plain:
        then(lambda: _apply_alone(services, transition))
        return
    future = services.writers.outcomes.write(apply, services, transition)
    future.add_done_callback(tracing.carried(lambda done: _go_on(work, then, done)))


def _apply_alone(services: Services, transition: Transition) -> Transition:
    with services.database.transaction() as tx:
        [applied] = apply(tx, services, [transition])
    tell(applied)
    return applied


def _go_on(work: Work, then: Continuation, done: "Future[Transition]") -> None:
    try:
        if done.exception() is None:
            tell(done.result())
        then(done.result)
    except BaseException:
        # Mostly this is the thread that writes for all. The step's lease ends, and it is handed out again.
        log.exception("step.failed", job=str(work.job_id), step=work.kind)


def tell(transition: Transition) -> None:
    """Write a line of the log for each state that a committed transition has changed: generation's and job's."""
    change = transition.generation
    if isinstance(change, Acceptance):
        held = transition.work.held
        named = ids(transition.work)
        log.info("generation.accepted", **named, provider_id=change.provider_id, held=held, reserved=change.reserved)
    if isinstance(change, Outcome):
        _generation(transition, change)
    if isinstance(transition.job, Requeue):
        log.info("job.requeued", **ids(transition.work), code=change.code if isinstance(change, Outcome) else None)
    elif transition.job is not None:
        _job(transition, transition.job)


def _generation(transition: Transition, change: Outcome) -> None:
    named = {**ids(transition.work), "code": change.code}
    match change.state:
        case GenerationState.SUCCEEDED:
            log.debug("generation.succeeded", **named, final=change.final)
        case GenerationState.FAILED:
            log.info("generation.failed", **named, **transition.details)
        case GenerationState.REFUSED:
            log.info("generation.refused", **named, message=change.message)
        case GenerationState.VOID:
            log.info("generation.void", **named)
        case GenerationState.IN_DOUBT:
            log.error("generation.in_doubt", **named, message=change.message)
        case GenerationState.HELD | GenerationState.SENDING | GenerationState.ACCEPTED:
            raise ValueError(change.state)  # no outcome
        case _:
            assert_never(change.state)


def _job(transition: Transition, end: End) -> None:
    named = ids(transition.work)
    match next_state(JobState.ACTIVE, end.event):
        case JobState.SUCCEEDED:
            stored = transition.result and transition.result.stored
            log.info("job.succeeded", **named, size_bytes=stored and stored.size_bytes)
        case JobState.FAILED:
            log.info("job.failed", **named, code=end.code, message=end.message)
        case JobState.CANCELLED:
            log.info("job.cancelled", **named)
        case JobState.IN_DOUBT:
            log.info("job.in_doubt", **named, code=end.code)
        case JobState.PENDING | JobState.ACTIVE as state:
            raise ValueError(state)  # no end
        case state:
            assert_never(state)
