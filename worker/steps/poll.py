"""Ask whether a generation has ended, and book its outcome when it has."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.db import calls as call_log
from worker.db import parts, step_moves
from worker.db.step_moves import Later
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
from worker.rivya.wire import GenerationStatus, GenerationView
from worker.services import Services
from worker.steps import calling, claiming, outcomes, settlement
from worker.steps.calling import Calls
from worker.steps.settlement import Ended

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> Work | None:
    """Leave the job with a later poll, or with its outcome booked; gives the claimed step to collect its image."""
    claimed = services.write(claiming.claim, ticket)
    if claimed is None:
        return None
    work = claimed.work
    if claimed.obstacle is not None:
        _hold_up(services, work)
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


def _hold_up(services: Services, work: Work) -> None:
    try:
        with services.database.transaction() as tx:
            outcomes.hold_up(tx, services, work)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)


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
        return _record(services, work, calls, answer, wait)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
        return None


def _record(
    services: Services, work: Work, calls: Calls, answer: GenerationView | ProviderError, wait: timedelta
) -> Work | None:
    match answer:
        case GenerationView(status=GenerationStatus.SUCCEEDED):
            ended = Ended(work=work, calls=calls, view=answer)
            return services.write(settlement.succeed, ended, is_alone=not ended.is_plain)
        case GenerationView(status=status) if not status.is_terminal and _age(services, work) < polling.DOUBT_AFTER:
            services.write(look_again, (work, calls))
        case _:
            with services.database.transaction() as tx:
                _record_rest(tx, services, work, answer, wait)
                calls.write(tx)
    return None


def _record_rest(
    tx: Connection, services: Services, work: Work, answer: GenerationView | ProviderError, wait: timedelta
) -> None:
    match answer:
        case NotFound():
            _missing(tx, services, work, answer)
        case Unavailable() if _age(services, work) >= polling.DOUBT_AFTER:
            outcomes.doubt(tx, work, answer, services)
        case ProviderError():
            blame = 0 if isinstance(answer, Throttled | AccountPaused) else 1
            due_at = services.clock() + wait
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + blame, error=answer)
        case GenerationView(status=GenerationStatus.FAILED):
            settlement.failed(tx, services, work, answer)
        case _:
            error = OutcomeUnknown("overdue", "the provider has not ended it in a day")
            outcomes.doubt(tx, work, error, services)


def look_again(tx: Connection, services: Services, open_: Sequence[tuple[Work, Calls]]) -> list[None]:
    """Ask again later: not having ended is neither an attempt nor an error."""
    now = services.clock()
    parts.run(
        tx,
        {
            step_moves.POSTPONE: [step_moves.postponing(_later(services, work, now)) for work, _ in open_],
            call_log.ADD: calling.rows_of(calls for _, calls in open_),
        },
    )
    return [None] * len(open_)


def _later(services: Services, work: Work, now: datetime) -> Later:
    age, polls = _age(services, work), work.polls + 1
    if age >= polling.OVERDUE_AFTER:
        log.error("generation.overdue", **outcomes.ids(work), provider_id=work.provider_id, age_s=age.seconds)
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    return Later(work=work, due_at=now + schedule.wait(age=age, polls=polls), polls=polls, looked_at=now)


def _missing(tx: Connection, services: Services, work: Work, error: NotFound) -> None:
    """Wait while the id may only not be visible yet; after that nobody can say what became of the credits."""
    if _age(services, work) < polling.YOUNG:
        wait = services.policies.schedule.wait(age=timedelta(0), polls=1)
        return step_moves.postpone(tx, work, due_at=services.clock() + wait, attempts=work.attempts + 1, error=error)
    return outcomes.doubt(tx, work, error, services)


def _age(services: Services, work: Work) -> timedelta:
    assert work.accepted_at is not None
    return services.clock() - work.accepted_at
