"""What all steps record in the same way: a throttled key, a paused account, a job that ends or goes back."""

from datetime import datetime, timedelta

import structlog

from worker.accounts.queries import accounts
from worker.core.rules import errors, retry
from worker.core.rules.errors import AccountPaused, ContentRefused, ProviderError, Throttled
from worker.core.rules.states import READS, GenerationState, JobEvent, StepKind
from worker.engine.queries import generations
from worker.engine.queries.generations import Outcome
from worker.engine.queries.jobs import End, Requeue
from worker.engine.queries.step_moves import Finish, Postpone
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import calling
from worker.engine.steps.transitions import Transition, ids
from worker.ledger.rules import entries as ledger_rules

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
    collected, whatever the state of the account is.
    """
    if work.kind is StepKind.COLLECT:
        return False
    return work.binding != services.binding or _is_closed(work, now) or _is_paused(work)


def _is_closed(work: Work, now: datetime) -> bool:
    return work.blocked_until is not None and now < work.blocked_until


def _is_paused(work: Work) -> bool:
    reason = work.pause_reason
    if reason is None or (work.kind in READS and reason.permits_reading):
        return False
    # Asking again under the same key buys nothing that was not bought, and its answer says whether the provider works.
    return not (reason.sends_canaries and (work.is_canary or work.has_unanswered_send))


def hold_up(services: Services, work: Work) -> Transition:
    """Put a step off that is held up.

    A job for which nothing can have been created goes back in line, its hold void, for as long as the account is
    paused.
    """
    now = services.clock()
    if work.binding != services.binding:
        log.error("node.key_replaced", **ids(work), binding=services.binding, account_binding=work.binding)
        return postpone(work, due_at=now + ANOTHER_NODE)
    if _is_closed(work, now) or not _is_paused(work):
        # The key may have opened since the claim.
        return postpone(work, due_at=max(now, work.blocked_until or now))
    if work.kind in READS or work.has_unanswered_send:
        return postpone(work, due_at=now + RECHECK_PAUSED)
    assert work.pause_reason is not None
    return void_and_requeue(work, AccountPaused(work.pause_reason))


def postpone(work: Work, *, due_at: datetime, attempts: int = 0, error: object = None) -> Transition:
    """Postpone the step to a later time, with the number of further attempts and the error."""
    return Transition(work=work, step=Postpone(due_at=due_at, attempts=work.attempts + attempts, error=error))


def wait_after(services: Services, work: Work, error: ProviderError) -> timedelta:
    """Apply the provider's answer to the account, and return the wait before the step is retried."""
    now = services.clock()
    match error:
        case Throttled():
            return calling.close_key(services, error)
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


def fail_unpaid(work: Work, error: ProviderError, state: GenerationState, *, answered: int = 0) -> Transition:
    """End the job as failed and take its hold back: the provider created nothing."""
    return Transition(
        work=work,
        step=Finish(),
        job=_end(JobEvent.FAIL, error),
        generation=_ended(state, error, polls=work.polls, answered=answered),
        movements=ledger_rules.void(work.held),
    )


def void_and_requeue(work: Work, error: ProviderError, *, failures: int = 0, answered: int = 0) -> Transition:
    """Put the job back in line with its hold void: nothing was created, and the next try may go better."""
    return Transition(
        work=work,
        step=Finish(),
        job=Requeue(failures=failures),
        generation=_ended(GenerationState.VOID, error, answered=answered),
        movements=ledger_rules.void(work.held),
    )


def doubt(work: Work, error: ProviderError) -> Transition:
    """End the job as in doubt: the hold stays, nothing more is sent, a person decides."""
    return Transition(
        work=work,
        step=Finish(),
        job=_end(JobEvent.DOUBT, error),
        generation=_ended(GenerationState.IN_DOUBT, error, polls=work.polls),
        then=lambda tx: generations.tell_of_doubts(tx, [work.generation_id]),
    )


def _end(event: JobEvent, error: ProviderError) -> End:
    code, message = _failure(error)
    return End(event=event, code=code, message=message, request_id=error.request_id)


def _failure(error: ProviderError) -> tuple[str, str]:
    """Return code and words of the job's failure; those of its generation stay the provider's own."""
    if isinstance(error, ContentRefused):
        return errors.CONTENT_REFUSED, errors.content_refusal_message(error.code, error.message)
    return error.code, error.message


def _ended(state: GenerationState, error: ProviderError, *, polls: int = 0, answered: int = 0) -> Outcome:
    return Outcome(
        state=state,
        polls=polls,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        answered=answered,
    )
