"""What is booked when the provider has ended a generation, and what the job does then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts
from worker.core.db import session
from worker.core.rules import content_codes
from worker.core.rules.errors import PauseReason
from worker.core.rules.generation import GenerationState
from worker.core.rules.job import JobEvent
from worker.core.rules.step import LEASES, StepKind
from worker.engine.queries import batches, calls, generations, jobs, prompt_failures, step_moves
from worker.engine.queries.generations import Outcome
from worker.engine.queries.jobs import End
from worker.engine.queries.step_moves import Advance
from worker.engine.queries.steps import Work
from worker.engine.rules.prompt_breaker import POISONED_AFTER
from worker.engine.services import Services
from worker.engine.steps import calling, outcomes, provider_health
from worker.engine.steps.calling import Calls
from worker.engine.steps.outcomes import Booking
from worker.engine.steps.provider_health import Verdict
from worker.ledger.rules import entries as moves
from worker.ledger.rules.entries import Movement
from worker.provider.wire import GenerationStatus, GenerationView

log = structlog.get_logger(__name__)

CLOCKS_DISAGREE = timedelta(seconds=2)
"""A latency may seem so much longer than the time in which we knew the generation."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the provider said of a generation."""

    work: Work
    calls: Calls
    view: GenerationView

    @property
    def is_plain(self) -> bool:
        """Whether it cost what was reserved, and no failure of its prompt is remembered: no other row is locked."""
        return self.view.final_credits == self.work.reserved and self.work.prompt_record is None


def succeed(tx: Connection, services: Services, ended: Sequence[Answered]) -> list[Work]:
    """Book the final credits; gives the steps to collect the images, which this worker has already."""
    now = services.clock()
    until = now + LEASES[StepKind.COLLECT]
    outcomes.book(
        tx,
        services,
        {step_moves.ADVANCE: [step_moves.advancing(_to_collect(one.work, now, until)) for one in ended]},
        [Booking(work=one.work, movements=_settling(one.work, one.view)) for one in ended],
        {
            generations.END: [generations.ending(_outcome(one.work, one.view), now=now) for one in ended],
            calls.ADD: calling.rows_of(one.calls for one in ended),
        },
    )
    for one in ended:
        if one.work.prompt_record is not None:
            prompt_failures.forget(tx, one.work)
    return [_collecting(one, now, until) for one in ended]


def _to_collect(work: Work, now: datetime, until: datetime) -> Advance:
    return Advance(work=work, kind=StepKind.COLLECT, now=now, due_at=now, lease_until=until)


def _collecting(ended: Answered, now: datetime, until: datetime) -> Work:
    return replace(
        ended.work,
        kind=StepKind.COLLECT,
        fence=ended.work.fence + 1,
        lease_until=until,
        due_at=now,
        attempts=0,
        since=now,
        generation_state=GenerationState.SUCCEEDED,
        result_url=_address(ended.view),
    )


def _address(view: GenerationView) -> str | None:
    return view.result_urls[0] if view.result_urls else None


def learn(services: Services, ended: Answered) -> None:
    """Keep how long it took: as the provider says, if that can be true, else somewhere since the last poll or so."""
    work, view = ended.work, ended.view
    assert work.accepted_at is not None
    age = services.clock() - work.accepted_at
    low = high = view.took
    if low is None or high is None or low > age + CLOCKS_DISAGREE:
        low, high = age - services.policies.schedule.gap, age
    services.latencies.observe(work.model, has_reference=work.reference_hash is not None, low=low, high=high)


def failed(tx: Connection, services: Services, work: Work, view: GenerationView) -> Verdict:
    """Book the final credits; try once more only while attempts remain, this one cost nothing, and the prompt is good.

    A failure that is the provider's costs no attempt; while that is not decided nothing is booked, and the provider is
    asked again. Locks the account, the batch, and last the record of the prompt's failures.
    """
    code, message = view.error_code or "generation_failed", view.error_message or "The generation failed."
    if content_codes.is_content(code, services.policies.refused_content):
        _book(tx, services, work, view)
        _end_refused(tx, services, work, view, code, message)
        return Verdict.THE_JOBS
    account = accounts.lock(tx, work.account_id) if services.policies.has_brakes else None
    if account is not None:
        # What is known of the prompt is older than the failures of others that were booked meanwhile.
        work = replace(work, prompt_record=prompt_failures.read(tx, work))
    was_free = view.final_credits == 0
    has_more = was_free and work.job_failures + 1 < services.policies.max_attempts and not _will_poison(work)
    if code == PauseReason.INSUFFICIENT_CREDITS:
        verdict = Verdict.THE_PROVIDERS if was_free else Verdict.THE_JOBS
    elif account is None:
        verdict = Verdict.THE_JOBS
    else:
        verdict = provider_health.judge(
            tx, services, account, work, code=code, is_free=was_free, would_end=not has_more
        )
    if verdict in {Verdict.UNDECIDED, Verdict.ALONE}:
        provider_health.put_off(tx, services, work, code, verdict)
        return verdict
    _book(tx, services, work, view)
    is_excused = was_free and verdict is Verdict.THE_PROVIDERS
    if is_excused or has_more:
        jobs.give_back(
            tx,
            work.job_id,
            batch_id=work.batch_id,
            now=services.clock(),
            failures=0 if is_excused else 1,
            code=None if is_excused else code,
            message=None if is_excused else message,
        )
    else:
        end = End(job_id=work.job_id, event=JobEvent.FAIL, code=code, message=message, request_id=view.request_id)
        jobs.end(tx, end, now=services.clock())
    session.notify(tx)
    generations.end(tx, _outcome(work, view), now=services.clock())
    if verdict is Verdict.THE_JOBS and code != PauseReason.INSUFFICIENT_CREDITS:
        _count_failure(tx, services, work, code)
    log.info("generation.failed", **outcomes.ids(work), code=code, again=is_excused or has_more, verdict=verdict.name)
    return verdict


def _book(tx: Connection, services: Services, work: Work, view: GenerationView) -> None:
    """End the step, and book the final credits."""
    step_moves.finish(tx, work)
    batches.lock(tx, work.batch_id)
    outcomes.post(tx, work, _settling(work, view), services)


def _end_refused(tx: Connection, services: Services, work: Work, view: GenerationView, code: str, message: str) -> None:
    """End a job whose content the provider refuses: another attempt would end in the same way."""
    now = services.clock()
    words = content_codes.words(code, message)
    end = End(
        job_id=work.job_id, event=JobEvent.FAIL, code=content_codes.CODE, message=words, request_id=view.request_id
    )
    jobs.end(tx, end, now=now)
    session.notify(tx)
    generations.end(tx, _outcome(work, view), now=now)
    log.info("generation.content_refused", **outcomes.ids(work), code=code)


def _will_poison(work: Work) -> bool:
    """Return whether, as far as is known, one more failure is as many as a prompt may have."""
    return work.prompt_record is not None and work.prompt_record.failures + 1 >= POISONED_AFTER


def _count_failure(tx: Connection, services: Services, work: Work, code: str) -> None:
    """Remember that the prompt has failed; once it is poisoned the batch's pending jobs with it end, too."""
    now = services.clock()
    record = prompt_failures.count(tx, work, code=code, now=now)
    if record.is_poisoned(now):
        ended = prompt_failures.end_pending(tx, work, record, now=now)
        log.warning("prompt.poisoned", **outcomes.ids(work), failures=record.failures, code=code, ended=ended)


def _settling(work: Work, view: GenerationView) -> tuple[Movement, ...]:
    """Move what was charged to spent and give the rest back; more than was reserved is booked, and is an alarm."""
    assert work.reserved is not None
    assert view.final_credits is not None
    if view.final_credits > work.reserved:
        log.error("generation.overrun", **outcomes.ids(work), reserved=work.reserved, final=view.final_credits)
    return moves.settle(reserved=work.reserved, final=view.final_credits)


def _outcome(work: Work, view: GenerationView) -> Outcome:
    is_failure = view.status is GenerationStatus.FAILED
    return Outcome(
        generation_id=work.generation_id,
        state=GenerationState.FAILED if is_failure else GenerationState.SUCCEEDED,
        polls=work.polls + 1,
        final=view.final_credits,
        result_url=_address(view),
        code=(view.error_code or "generation_failed") if is_failure else None,
        message=view.error_message if is_failure else None,
        request_id=view.request_id,
    )
