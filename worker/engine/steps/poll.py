"""Ask whether a generation has ended, and book its outcome when it has."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from worker.core.rules.errors import (
    AccountPaused,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Throttled,
    Unavailable,
)
from worker.engine.queries.step_moves import Postpone
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import polling
from worker.engine.services import Services
from worker.engine.steps import claiming, crashes, outcomes, provider_health, scope, settlement, transitions
from worker.engine.steps.calling import Calls
from worker.engine.steps.settlement import Answered
from worker.engine.steps.transitions import Transition, unless_stale, write_alone
from worker.provider.wire import GenerationStatus, GenerationView

log = structlog.get_logger(__name__)

Continuation = Callable[[Services, Work], None]
"""Brings the image of a generation home whose step this worker has; it is called when its credits are booked."""


def run(services: Services, ticket: Ticket, go_on: Continuation) -> None:
    """Leave the job with a later poll, or with its outcome booked."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is None:
        return
    work = claimed.work
    scope.identify(services, work)
    if claimed.obstacle is None:
        _ask(services, work, go_on)
    else:
        write_alone(services, work, lambda _: outcomes.hold_up(services, work))


def _ask(services: Services, work: Work, go_on: Continuation) -> None:
    calls = Calls(services, work.generation_id)
    try:
        assert work.provider_id is not None
        view = _whole(calls.get(work.provider_id))
    except ProviderError as error:
        _record_problem(services, work, calls, error)
        return
    if view.status is GenerationStatus.FAILED and view.error_code == PauseReason.INSUFFICIENT_CREDITS:
        outcomes.pause_account(
            services, work, AccountPaused(PauseReason.INSUFFICIENT_CREDITS, view.error_message or "")
        )
    _record(services, Answered(work=work, calls=calls, view=view), go_on)


def _whole(view: GenerationView) -> GenerationView:
    """Pass an outcome on only with its final credits: a charge is never guessed."""
    if view.status.is_terminal and view.final_credits is None:
        words = "; ".join(view.unusable) or "it has no final_credits"
        raise Unavailable("malformed", f"the generation has ended, and {words}", view.http_status, view.request_id)
    return view


def _record(services: Services, seen: Answered, go_on: Continuation) -> None:
    work, calls = seen.work, seen.calls
    match seen.view.status:
        case GenerationStatus.SUCCEEDED:
            booked, following = settlement.succeeded(services, seen)
            transitions.apply_together(
                services,
                work,
                booked,
                lambda result: crashes.of_work(
                    services, work, lambda: _go_on(services, seen, result, lambda: go_on(services, following))
                ),
            )
        case GenerationStatus.FAILED:
            failed = write_alone(services, work, lambda tx: settlement.failed(tx, services, work, seen.view), calls)
            if failed is not None and failed.is_providers_fault:
                provider_health.give_back(services, work, seen.view.error_code or "generation_failed")
        case _ if _age(services, work) >= polling.DOUBT_AFTER:
            error = OutcomeUnknown("overdue", "the provider has not ended it in a day")
            write_alone(services, work, lambda _: outcomes.doubt(work, error), calls)
        case _:
            _warn_if_overdue(work, _age(services, work))
            transitions.apply_together(
                services,
                work,
                _look_again(services, seen),
                lambda result: crashes.of_work(services, work, lambda: unless_stale(work, calls, result)),
            )


def _warn_if_overdue(work: Work, age: timedelta) -> None:
    if age >= polling.OVERDUE_AFTER:
        log.error("generation.overdue", **transitions.ids(work), provider_id=work.provider_id, age_s=age.seconds)


def _go_on(services: Services, seen: Answered, result: Callable[[], Transition], go_on: Callable[[], None]) -> None:
    if unless_stale(seen.work, seen.calls, result) is not None:
        settlement.learn(services, seen)
        provider_health.succeeded(services, seen.work)
        go_on()


def _record_problem(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    wait = timedelta(0) if isinstance(error, NotFound) else outcomes.wait_after(services, work, error)
    write_alone(services, work, lambda _: _after(services, work, error, wait), calls)


def _after(services: Services, work: Work, error: ProviderError, wait: timedelta) -> Transition:
    """Decide what follows when the provider did not say how the generation stands."""
    match error:
        case NotFound():
            return _missing(services, work, error)
        case Unavailable() if _age(services, work) >= polling.DOUBT_AFTER:
            return outcomes.doubt(work, error)
        case _:
            blame = 0 if isinstance(error, Throttled | AccountPaused) else 1
            return outcomes.postpone(work, due_at=services.clock() + wait, attempts=blame, error=error)


def _look_again(services: Services, seen: Answered) -> Transition:
    """Ask again later: not having ended is neither an attempt nor an error."""
    work, now = seen.work, services.clock()
    age, polls = _age(services, work), work.polls + 1
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    due_at = now + schedule.wait(age=age, polls=polls)
    later = Postpone(due_at=due_at, attempts=0, polls=polls, looked_at=now)
    return Transition(work=work, step=later, calls=seen.calls)


def _missing(services: Services, work: Work, error: NotFound) -> Transition:
    """Wait while the id may only not be visible yet; after that it is unknown whether it was charged."""
    if _age(services, work) < polling.YOUNG:
        wait = services.policies.schedule.wait(age=timedelta(0), polls=1)
        return outcomes.postpone(work, due_at=services.clock() + wait, attempts=1, error=error)
    return outcomes.doubt(work, error)


def _age(services: Services, work: Work) -> timedelta:
    assert work.accepted_at is not None
    # An instant of the future was dated by a clock that was wrong.
    return max(services.clock() - work.accepted_at, timedelta(0))
