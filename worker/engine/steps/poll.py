"""Ask whether a generation has ended, and book its outcome when it has."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from worker.core.db import statements
from worker.core.db.statements import StaleFence
from worker.core.rules.errors import (
    AccountPaused,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Throttled,
    Unavailable,
)
from worker.engine.queries import calls as call_log
from worker.engine.queries import step_moves
from worker.engine.queries.step_moves import Postponement
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import polling
from worker.engine.services import Services
from worker.engine.steps import calling, claiming, crashes, outcomes, provider_health, settlement
from worker.engine.steps.calling import Calls
from worker.engine.steps.provider_health import Verdict
from worker.engine.steps.settlement import Answered
from worker.provider.wire import GenerationStatus, GenerationView

T = TypeVar("T")

log = structlog.get_logger(__name__)

GoOn = Callable[[Services, Work], None]
"""Brings the image of a generation home whose step this worker has; it is called when its credits are booked."""


def run(services: Services, ticket: Ticket, go_on: GoOn) -> None:
    """Leave the job with a later poll, or with its outcome booked."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is None:
        return
    work = claimed.work
    if claimed.obstacle is None:
        _ask(services, work, go_on)
    else:
        outcomes.write_alone(services, work, lambda tx: outcomes.hold_up(tx, services, work))


def _ask(services: Services, work: Work, go_on: GoOn) -> None:
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


def _record(services: Services, seen: Answered, go_on: GoOn) -> None:
    work, calls = seen.work, seen.calls

    def written(result: Callable[[], None]) -> None:
        _unless_stale(work, calls, result)

    match seen.view.status:
        case GenerationStatus.SUCCEEDED:
            services.record(
                settlement.succeed,
                seen,
                lambda result: crashes.of_work(services, work, lambda: _go_on(services, seen, result, go_on)),
                is_alone=not seen.is_plain,
            )
        case GenerationStatus.FAILED:
            _record_failure(services, seen)
        case _ if _age(services, work) >= polling.DOUBT_AFTER:
            error = OutcomeUnknown("overdue", "the provider has not ended it in a day")
            _record_alone(services, work, calls, lambda tx: outcomes.doubt(tx, work, error, services))
        case _:
            _warn_if_overdue(work, _age(services, work))
            services.record(look_again, seen, lambda result: crashes.of_work(services, work, lambda: written(result)))


def _record_failure(services: Services, seen: Answered) -> None:
    work, verdicts = seen.work, []
    _record_alone(
        services,
        work,
        seen.calls,
        lambda tx: verdicts.append(settlement.failed(tx, services, work, seen.view)),
    )
    if verdicts == [Verdict.THE_PROVIDERS]:
        provider_health.give_back(services, work, seen.view.error_code or "generation_failed")


def _warn_if_overdue(work: Work, age: timedelta) -> None:
    if age >= polling.OVERDUE_AFTER:
        log.error("generation.overdue", **outcomes.ids(work), provider_id=work.provider_id, age_s=age.seconds)


def _go_on(services: Services, seen: Answered, result: Callable[[], Work], go_on: GoOn) -> None:
    following = _unless_stale(seen.work, seen.calls, result)
    if following is not None:
        settlement.learn(services, seen)
        provider_health.succeeded(services, seen.work)
        go_on(services, following)


def _record_problem(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    wait = timedelta(0) if isinstance(error, NotFound) else outcomes.wait_after(services, work, error)
    _record_alone(services, work, calls, lambda tx: _postpone(tx, services, work, error, wait))


def _record_alone(services: Services, work: Work, calls: Calls, write: Callable[[Connection], None]) -> None:
    def written() -> None:
        with services.database.transaction() as tx:
            write(tx)
            calls.write(tx)

    _unless_stale(work, calls, written)


def _unless_stale(work: Work, calls: Calls, result: Callable[[], T]) -> T | None:
    try:
        return result()
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
        return None


def _postpone(tx: Connection, services: Services, work: Work, error: ProviderError, wait: timedelta) -> None:
    match error:
        case NotFound():
            _missing(tx, services, work, error)
        case Unavailable() if _age(services, work) >= polling.DOUBT_AFTER:
            outcomes.doubt(tx, work, error, services)
        case _:
            blame = 0 if isinstance(error, Throttled | AccountPaused) else 1
            due_at = services.clock() + wait
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + blame, error=error)


def look_again(tx: Connection, services: Services, seen: Sequence[Answered]) -> list[None]:
    """Ask again later: not having ended is neither an attempt nor an error."""
    now = services.clock()
    statements.run(
        tx,
        {
            step_moves.POSTPONE: [step_moves.postponing(_later(services, one.work, now)) for one in seen],
            call_log.ADD: calling.rows_of(one.calls for one in seen),
        },
    )
    return [None] * len(seen)


def _later(services: Services, work: Work, now: datetime) -> Postponement:
    age, polls = _age(services, work), work.polls + 1
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    return Postponement(work=work, due_at=now + schedule.wait(age=age, polls=polls), polls=polls, looked_at=now)


def _missing(tx: Connection, services: Services, work: Work, error: NotFound) -> None:
    """Wait while the id may only not be visible yet; after that nobody can say what became of the credits."""
    if _age(services, work) < polling.YOUNG:
        wait = services.policies.schedule.wait(age=timedelta(0), polls=1)
        return step_moves.postpone(tx, work, due_at=services.clock() + wait, attempts=work.attempts + 1, error=error)
    return outcomes.doubt(tx, work, error, services)


def _age(services: Services, work: Work) -> timedelta:
    assert work.accepted_at is not None
    # An instant of the future was dated by a clock that was wrong.
    return max(services.clock() - work.accepted_at, timedelta(0))
