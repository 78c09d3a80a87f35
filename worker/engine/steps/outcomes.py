"""What all steps record in the same way: a throttled key, a paused account, a job that ends or goes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts
from worker.core.db import session, statements
from worker.core.db.statements import Part, Row, StaleFence
from worker.core.rules import content_codes, retry
from worker.core.rules.errors import AccountPaused, ContentRefused, ProviderError, Throttled
from worker.core.rules.generation import GenerationState
from worker.core.rules.job import JobEvent
from worker.core.rules.step import StepKind
from worker.engine.queries import generations, jobs, step_moves
from worker.engine.queries.generations import Outcome
from worker.engine.queries.jobs import End
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import pacing
from worker.ledger.queries import entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as ledger_rules
from worker.ledger.rules.entries import Movement

log = structlog.get_logger(__name__)

RECHECK_PAUSED = timedelta(seconds=90)
"""How soon a step that met a paused account looks again, if nothing resumes the account before."""


ANOTHER_NODE = timedelta(seconds=5)
"""How soon a step is offered again that this node may not do."""

RELAPSE = timedelta(minutes=1)
"""A pause within this time after the last one is the same trouble."""


def is_held_up(services: Services, work: Work, now: datetime) -> bool:
    """Return whether the account is closed to this step, paused, or used with another key.

    A step that only reads goes on while the reason of the pause permits reading; an image that is paid for is
    collected whatever became of the account.
    """
    if work.kind is StepKind.COLLECT:
        return False
    return work.binding != services.binding or _is_closed(work, now) or _is_paused(work)


def _is_closed(work: Work, now: datetime) -> bool:
    return work.blocked_until is not None and now < work.blocked_until


def _is_paused(work: Work) -> bool:
    reason = work.pause_reason
    if reason is None or (work.kind is StepKind.POLL and reason.permits_reading):
        return False
    # Asking again under the same key buys nothing that was not bought, and its answer says whether the provider works.
    return not (reason.sends_canaries and (work.is_canary or work.has_unanswered_send))


def hold_up(tx: Connection, services: Services, work: Work) -> None:
    """Put a step off that is held up.

    A job for which nothing can have been created goes back in line, its hold void, for as long as the account is
    paused.
    """
    now = services.clock()
    if work.binding != services.binding:
        log.error("node.key_replaced", **ids(work), binding=services.binding, account_binding=work.binding)
        step_moves.postpone(tx, work, due_at=now + ANOTHER_NODE, attempts=work.attempts)
    elif _is_closed(work, now) or not _is_paused(work):
        # The key may have opened since the claim.
        step_moves.postpone(tx, work, due_at=max(now, work.blocked_until or now), attempts=work.attempts)
    elif work.kind is StepKind.POLL or work.has_unanswered_send:
        step_moves.postpone(tx, work, due_at=now + RECHECK_PAUSED, attempts=work.attempts)
    else:
        assert work.pause_reason is not None
        give_back_unpaid(tx, work, AccountPaused(work.pause_reason), services)


def write_alone(services: Services, work: Work, write: Callable[[Connection], None]) -> None:
    """Write something for a step in a transaction of its own; nothing when somebody else has moved on with it."""
    try:
        with services.database.transaction() as tx:
            write(tx)
    except StaleFence:
        log.info("step.stale", **ids(work), step=work.kind)


def wait_after(services: Services, work: Work, error: ProviderError) -> timedelta:
    """Tell the account what the provider said, and give the wait before the step may be tried again."""
    now = services.clock()
    match error:
        case Throttled():
            return pacing.close_key(services, error)
        case AccountPaused():
            pause_account(services, work, error)
            return RECHECK_PAUSED
        case _:
            wait = retry.CALL.wait(work.attempts + 1, services.jitter())
            log.warning("step.postponed", **ids(work), attempts=work.attempts + 1, error=str(error), due_at=now + wait)
            return wait


def pause_account(services: Services, work: Work, error: AccountPaused) -> None:
    """Pause the account with the provider's reason; the first probe follows soon.

    A pause that follows right after the last one goes on counting its probes, so that an account that can be read
    but not used is tried ever more rarely.
    """
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        if account.pause_reason is not None:
            return
        is_relapse = account.resumed_at is not None and now < account.resumed_at + RELAPSE
        probes = account.probes if is_relapse else 0
        accounts.pause(
            tx,
            work.account_id,
            reason=error.reason,
            message=str(error),
            now=now,
            probe_at=now + retry.PROBE.wait(probes + 1, services.jitter()),
            probes=probes,
        )
    log.error("account.paused", account=str(work.account_id), reason=error.reason, error=str(error))


def fail_unpaid(tx: Connection, work: Work, error: ProviderError, state: GenerationState, services: Services) -> None:
    """End the job as failed and take its hold back: the provider created nothing."""
    now = services.clock()
    step_moves.finish(tx, work)
    _void(tx, work, services)
    _end(tx, work, JobEvent.FAIL, state, error, now=now)
    log.info("job.failed", **ids(work), code=_failure(error)[0], message=error.message)


def give_back_unpaid(
    tx: Connection, work: Work, error: ProviderError, services: Services, *, failures: int = 0
) -> None:
    """Put the job back in line with its hold void: nothing was created, and the next try may go better."""
    step_moves.finish(tx, work)
    _void(tx, work, services)
    jobs.give_back(tx, work.job_id, batch_id=work.batch_id, now=services.clock(), failures=failures)
    generations.end(tx, _ended(work, GenerationState.VOID, error), now=services.clock())
    log.info("job.given_back", **ids(work), code=error.code)


def doubt(tx: Connection, work: Work, error: ProviderError, services: Services) -> None:
    """End the job as in doubt: the hold stays, nothing more is sent, a person decides."""
    now = services.clock()
    step_moves.finish(tx, work)
    _end(tx, work, JobEvent.DOUBT, GenerationState.IN_DOUBT, error, now=now)
    log.error("generation.in_doubt", **ids(work), code=error.code, message=error.message)


def post(tx: Connection, work: Work, movements: tuple[Movement, ...], services: Services) -> None:
    """Write the movements and change the batch's committed sum beside them; it comes after the step's guard."""
    entries.commit_to(tx, movements, batch_id=work.batch_id, held_at=work.admitted_at)
    entries.post(tx, [posting(work, movements)], now=services.clock())


Rows = Mapping[Part, Sequence[Row]]


@dataclass(frozen=True, kw_only=True)
class Booking:
    """The credits that move for a step."""

    work: Work
    movements: tuple[Movement, ...]

    @property
    def is_plain(self) -> bool:
        """Whether what its batch has committed stays the same."""
        return ledger_rules.committed(self.movements) == 0


def book(tx: Connection, services: Services, guards: Rows, bookings: Sequence[Booking], rest: Rows) -> None:
    """Move steps on, book their credits, and write what else belongs to that; plain bookings take one statement.

    Locks are taken in the order account, step, batch, job, generation, and whoever holds a batch skips steps that are
    locked, so that nobody waits in a circle. So of several bookings all must be plain: two transactions could lock
    their batches in different orders.
    """
    postings = [posting(booking.work, booking.movements) for booking in bookings]
    rest = {entries.POST: entries.posting_rows(postings, now=services.clock()), **rest}
    if all(booking.is_plain for booking in bookings):
        statements.run(tx, {**guards, **rest})
        return
    statements.run(tx, guards)
    for booking in bookings:
        work = booking.work
        entries.commit_to(tx, booking.movements, batch_id=work.batch_id, held_at=work.admitted_at)
    statements.run(tx, rest)


def posting(work: Work, movements: tuple[Movement, ...]) -> Posting:
    """Return what moves for a step."""
    return Posting(batch_id=work.batch_id, generation_id=work.generation_id, movements=movements)


def ids(work: Work) -> dict[str, str]:
    """Name the work in a log line."""
    return {"job": str(work.job_id), "generation": str(work.generation_id), "key": work.key}


def _end(
    tx: Connection, work: Work, event: JobEvent, state: GenerationState, error: ProviderError, *, now: datetime
) -> None:
    code, message = _failure(error)
    end = End(job_id=work.job_id, event=event, code=code, message=message, request_id=error.request_id)
    jobs.end(tx, end, now=now)
    generations.end(tx, _ended(work, state, error, polls=work.polls), now=now)


def _failure(error: ProviderError) -> tuple[str, str]:
    """Return code and words of the job's failure; those of its generation stay the provider's own."""
    if isinstance(error, ContentRefused):
        return content_codes.CODE, content_codes.words(error.code, error.message)
    return error.code, error.message


def _ended(work: Work, state: GenerationState, error: ProviderError, *, polls: int = 0) -> Outcome:
    return Outcome(
        generation_id=work.generation_id,
        state=state,
        polls=polls,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
    )


def _void(tx: Connection, work: Work, services: Services) -> None:
    post(tx, work, ledger_rules.void(work.held), services)
    session.notify(tx)
