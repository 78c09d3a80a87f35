"""What is booked when the provider has ended a generation, and what the job does then."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts
from worker.core.rules import errors
from worker.core.rules.errors import PauseReason
from worker.core.rules.states import LEASES, GenerationState, JobEvent, StepKind
from worker.engine.queries import failures
from worker.engine.queries.generations import Outcome
from worker.engine.queries.jobs import End, Requeue
from worker.engine.queries.step_moves import Advance, Finish
from worker.engine.queries.steps import Work
from worker.engine.rules import hints
from worker.engine.rules.give_up import BREAKER_OPENS_AFTER
from worker.engine.services import Services
from worker.engine.steps import provider_health, transitions
from worker.engine.steps.calling import Calls
from worker.engine.steps.provider_health import Verdict
from worker.engine.steps.transitions import Transition
from worker.ledger.rules import entries as moves
from worker.ledger.rules.entries import Movement
from worker.provider.wire import GenerationStatus, GenerationView

log = structlog.get_logger(__name__)

CLOCKS_DISAGREE = timedelta(seconds=2)
"""A latency may seem so much longer than the time in which we knew the generation."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The provider's answer about a generation."""

    work: Work
    calls: Calls
    view: GenerationView


def succeeded(services: Services, ended: Answered) -> tuple[Transition, Work]:
    """Book the final credits; return also the step to collect the image, which this worker has then."""
    work, view, now = ended.work, ended.view, services.clock()
    until = now + LEASES[StepKind.COLLECT]
    booked = Transition(
        work=work,
        step=Advance(kind=StepKind.COLLECT, since=now, due_at=now, lease_until=until),
        generation=replace(_outcome(work, view), took_ms=_milliseconds(_said(work, view, now))),
        movements=_settling(work, view),
        calls=ended.calls,
        then=None if work.prompt_record is None else lambda tx: failures.forget_prompt_of(tx, work),
    )
    following = replace(
        work,
        kind=StepKind.COLLECT,
        fence=work.fence + 1,
        lease_until=until,
        due_at=now,
        attempts=0,
        since=now,
        generation_state=GenerationState.SUCCEEDED,
        result_url=_address(view),
    )
    return booked, following


def _address(view: GenerationView) -> str | None:
    return view.result_urls[0] if view.result_urls else None


def learn(services: Services, ended: Answered) -> None:
    """Keep how long it took: as the provider says, if that can be true, else somewhere since the last poll or so.

    The same goes for its webhook: how long after the end it came, or had not come when the end was seen.
    """
    work, view = ended.work, ended.view
    assert work.accepted_at is not None
    now = services.clock()
    age = now - work.accepted_at
    low = high = _said(work, view, now)
    if low is None or high is None:
        low, high = age - services.policies.schedule.gap, age
    services.latencies.observe(work.model, has_reference=work.reference_hash is not None, low=low, high=high)
    took = (low + high) / 2
    services.meters.detected(provider=took, lag=age - took)
    hinted = None if work.hinted_at is None else work.hinted_at - work.accepted_at
    services.latencies.observe_end(hints.observation(took=took, polled=age, hinted=hinted))


def _said(work: Work, view: GenerationView, now: datetime) -> timedelta | None:
    """Return how long it took as the provider says; None when it does not say, or that cannot be true."""
    if view.took is None or work.accepted_at is None or view.took > now - work.accepted_at + CLOCKS_DISAGREE:
        return None
    return view.took


def _milliseconds(took: timedelta | None) -> int | None:
    return None if took is None else took // timedelta(milliseconds=1)


def failed(tx: Connection, services: Services, work: Work, view: GenerationView) -> Transition:
    """Book the final credits; try once more only while attempts remain, this one cost nothing, and the prompt is good.

    A failure that is the provider's costs no attempt; while that is not decided nothing is booked, and the provider is
    asked again. Locks the account, the batch, and last the record of the prompt's failures.
    """
    code, message = view.error_code or "generation_failed", view.error_message or "The generation failed."
    if errors.is_content_refusal(code, services.policies.refused_content):
        return _refused(work, view, code, message)
    account = accounts.lock(tx, work.account_id) if services.policies.has_brakes else None
    if account is not None:
        # What is known of the prompt is older than the failures of others that were booked meanwhile.
        work = replace(work, prompt_record=failures.prompt_record(tx, work))
    was_free = view.final_credits == 0
    has_more = was_free and work.job_failures + 1 < services.policies.max_attempts and not _opens_breaker(work)
    if code == PauseReason.INSUFFICIENT_CREDITS:
        verdict = Verdict.THE_PROVIDERS if was_free else Verdict.THE_JOBS
    elif account is None:
        verdict = Verdict.THE_JOBS
    else:
        verdict = provider_health.judge(
            tx, services, account, work, code=code, is_free=was_free, would_end=not has_more
        )
    if verdict in {Verdict.UNDECIDED, Verdict.ALONE}:
        return provider_health.postpone_undecided(services, work, code, verdict)
    is_excused = was_free and verdict is Verdict.THE_PROVIDERS
    job: End | Requeue = End(event=JobEvent.FAIL, code=code, message=message, request_id=view.request_id)
    if is_excused or has_more:
        job = Requeue() if is_excused else Requeue(failures=1, code=code, message=message)
    is_counted = verdict is Verdict.THE_JOBS and code != PauseReason.INSUFFICIENT_CREDITS
    return replace(
        _ended(work, view, job),
        is_providers_fault=verdict is Verdict.THE_PROVIDERS,
        then=(lambda tx: _count_failure(tx, services, work, code)) if is_counted else None,
        details={"again": is_excused or has_more, "verdict": verdict.name},
    )


def _ended(work: Work, view: GenerationView, job: End | Requeue) -> Transition:
    """End the step, and book the final credits."""
    outcome, movements = _outcome(work, view), _settling(work, view)
    return Transition(work=work, step=Finish(), job=job, generation=outcome, movements=movements)


def _refused(work: Work, view: GenerationView, code: str, message: str) -> Transition:
    """End a job whose content the provider refuses: another attempt would end in the same way."""
    words = errors.content_refusal_message(code, message)
    end = End(event=JobEvent.FAIL, code=errors.CONTENT_REFUSED, message=words, request_id=view.request_id)
    return _ended(work, view, end)


def _opens_breaker(work: Work) -> bool:
    """Return whether, as far as is known, one more failure is as many as a prompt may have."""
    return work.prompt_record is not None and work.prompt_record.failures + 1 >= BREAKER_OPENS_AFTER


def _count_failure(tx: Connection, services: Services, work: Work, code: str) -> None:
    """Remember that the prompt has failed; once its breaker is open the batch's pending jobs with it end, too."""
    now = services.clock()
    record = failures.count_failure(tx, work, code=code, now=now)
    if record.is_breaker_open(now):
        ended = failures.end_pending(tx, work, record, now=now)
        log.warning("prompt.breaker_opened", **transitions.ids(work), failures=record.failures, code=code, ended=ended)


def _settling(work: Work, view: GenerationView) -> tuple[Movement, ...]:
    """Move what was charged to spent and give the rest back; more than was reserved is booked, and is an alarm."""
    assert work.reserved is not None
    assert view.final_credits is not None
    if view.final_credits > work.reserved:
        log.error("generation.overrun", **transitions.ids(work), reserved=work.reserved, final=view.final_credits)
    return moves.settle(reserved=work.reserved, final=view.final_credits)


def _outcome(work: Work, view: GenerationView) -> Outcome:
    is_failure = view.status is GenerationStatus.FAILED
    return Outcome(
        state=GenerationState.FAILED if is_failure else GenerationState.SUCCEEDED,
        polls=work.polls + 1,
        final=view.final_credits,
        result_url=_address(view),
        code=(view.error_code or "generation_failed") if is_failure else None,
        message=view.error_message if is_failure else None,
        request_id=view.request_id,
    )
