"""Ask whether a generation has ended, and book its outcome when it has."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker.db import steps
from worker.db.steps import StaleFence, Ticket, Work
from worker.domain import polling
from worker.domain.errors import (
    AccountPaused,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Throttled,
    Unavailable,
)
from worker.domain.step import LEASES, StepKind
from worker.rivya.wire import GenerationStatus, GenerationView
from worker.services import Services
from worker.steps import outcomes, settlement
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> Work | None:
    """Leave the job with a later poll, or with its outcome booked; gives the claimed step to collect its image."""
    now = services.clock()
    with services.database.statements() as tx:
        work = steps.claim(tx, ticket, until=now + LEASES[StepKind.POLL])
        if work is None or outcomes.is_held_up(services, tx, work, reads_only=True):
            return None
    calls = Calls(services, work.generation_id)
    try:
        assert work.provider_id is not None
        view = _whole(calls.get(work.provider_id))
    except ProviderError as error:
        return _guarded(services, work, calls, error)
    if view.status is GenerationStatus.FAILED and view.error_code == PauseReason.INSUFFICIENT_CREDITS:
        outcomes.pause_account(
            services, work, AccountPaused(PauseReason.INSUFFICIENT_CREDITS, view.error_message or "")
        )
    return _guarded(services, work, calls, view)


def _whole(view: GenerationView) -> GenerationView:
    """Pass an outcome on only with its final credits: a charge is never guessed."""
    if view.status.is_terminal and view.final_credits is None:
        raise Unavailable("malformed", "an ended generation without final_credits", view.http_status, view.request_id)
    return view


def _guarded(services: Services, work: Work, calls: Calls, answer: GenerationView | ProviderError) -> Work | None:
    wait = timedelta(0)
    if isinstance(answer, ProviderError) and not isinstance(answer, NotFound):
        wait = outcomes.wait_after(services, work, answer)
    try:
        with services.database.transaction() as tx:
            following = _record(tx, services, work, answer, wait)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
        return None
    return following


def _record(
    tx: Connection, services: Services, work: Work, answer: GenerationView | ProviderError, wait: timedelta
) -> Work | None:
    match answer:
        case NotFound():
            _missing(tx, services, work, answer)
        case Unavailable() if _age(services, work) >= polling.DOUBT_AFTER:
            outcomes.doubt(tx, work, answer, services)
        case ProviderError():
            blame = 0 if isinstance(answer, Throttled | AccountPaused) else 1
            steps.again(tx, work, due_at=services.clock() + wait, attempts=work.attempts + blame, error=answer)
        case GenerationView(status=GenerationStatus.SUCCEEDED):
            return settlement.succeeded(tx, services, work, answer)
        case GenerationView(status=GenerationStatus.FAILED):
            settlement.failed(tx, services, work, answer)
        case _:
            _not_ended(tx, services, work)
    return None


def _not_ended(tx: Connection, services: Services, work: Work) -> None:
    """Ask again later: not having ended is neither an attempt nor an error."""
    now, age = services.clock(), _age(services, work)
    if age >= polling.DOUBT_AFTER:
        error = OutcomeUnknown("overdue", "the provider has not ended it in a day")
        return outcomes.doubt(tx, work, error, services)
    if age >= polling.OVERDUE_AFTER:
        log.error("generation.overdue", **outcomes.ids(work), provider_id=work.provider_id, age_s=age.seconds)
    polls = work.polls + 1
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    wait = schedule.wait(age=age, polls=polls)
    return steps.again(tx, work, due_at=now + wait, polls=polls, looked_at=now)


def _missing(tx: Connection, services: Services, work: Work, error: NotFound) -> None:
    """Wait while the id may only not be visible yet; after that nobody can say what became of the credits."""
    if _age(services, work) < polling.YOUNG:
        wait = services.policies.schedule.wait(age=timedelta(0), polls=1)
        return steps.again(tx, work, due_at=services.clock() + wait, attempts=work.attempts + 1, error=error)
    return outcomes.doubt(tx, work, error, services)


def _age(services: Services, work: Work) -> timedelta:
    assert work.accepted_at is not None
    return services.clock() - work.accepted_at
