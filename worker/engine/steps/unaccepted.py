"""What becomes of a job whose create the provider did not accept: only what is certain takes a hold back."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker.core.db.statements import StaleFence
from worker.core.rules import retry
from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    ContentRefused,
    ModelUnavailable,
    NotFound,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from worker.core.rules.generation import GenerationState
from worker.engine.queries import generations, step_moves
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes, provider_health
from worker.engine.steps.calling import Calls
from worker.storage.queries import references

log = structlog.get_logger(__name__)


def record(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    """Record what is certain: a hold is taken back only when no copy of the request can have created anything."""
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    try:
        with services.database.transaction() as tx:
            _settle(tx, services, work, error, wait)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        provider_health.lost(services, work, error)


def _settle(  # noqa: C901 - one case for each class of answer
    tx: Connection, services: Services, work: Work, error: ProviderError, wait: timedelta
) -> None:
    due_at = services.clock() + wait
    match error:
        case ModelUnavailable() if not work.is_in_doubt:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.answered(tx, work.generation_id)
        case Refused() | NotFound(code="not_found") if work.is_in_doubt:
            outcomes.doubt(tx, work, error, services)
        case ContentRefused():
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
            generations.answered(tx, work.generation_id)
        case Refused() | NotFound(code="not_found") if _may_be_its_upload(tx, services, work):
            outcomes.give_back_unpaid(tx, work, error, services, failures=1)
            generations.answered(tx, work.generation_id)
        case Refused() | NotFound(code="not_found"):
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
            generations.answered(tx, work.generation_id)
        case AccountPaused() if not work.is_in_doubt:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.answered(tx, work.generation_id)
        case Throttled() if work.is_in_doubt:
            # If the provider remembers this 429 under the key, asking at its pace would close the key for all others.
            due_at = max(due_at, services.clock() + retry.CALL.wait(work.attempts + 1, services.jitter()))
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=error)
            generations.answered(tx, work.generation_id)
        case Throttled() if work.answers + 1 >= retry.THROTTLED_SENDS:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.answered(tx, work.generation_id)
        case Unavailable() if _is_turned_away_for_good(services, work, error):
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
            generations.answered(tx, work.generation_id)
        case AccountPaused() | ModelUnavailable() | Throttled() | Unavailable() | NotFound():
            attempts = work.attempts + isinstance(error, ModelUnavailable | Unavailable | NotFound)
            step_moves.postpone(tx, work, due_at=due_at, attempts=attempts, error=error)
            generations.answered(tx, work.generation_id)
        case Conflict() if not work.is_in_doubt or _is_a_conflict_for_good(services, work):
            outcomes.doubt(tx, work, error, services)
        case _:
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=error)


def _is_turned_away_for_good(services: Services, work: Work, error: Unavailable) -> bool:
    """Return whether something on the way has answered for a day that this request is wrong, and none was lost."""
    is_client_error = error.status is not None and 400 <= error.status < 500  # noqa: PLR2004 (a class of statuses)
    waited = services.clock() - work.since
    is_in_vain = retry.is_offered_in_vain(tries=work.attempts + 1, waited=waited)
    return is_client_error and not work.is_in_doubt and is_in_vain


def _is_a_conflict_for_good(services: Services, work: Work) -> bool:
    """Return whether the first request can no longer be under way."""
    return work.first_sent_at is None or services.clock() >= work.first_sent_at + retry.CONFLICT_PATIENCE


def _may_be_its_upload(tx: Connection, services: Services, work: Work) -> bool:
    """Forget uploads that other jobs had made before: the provider may have dropped them, which it does not document.

    A job is given this second chance once.
    """
    if work.job_failures:
        return False
    now = services.clock()
    forgotten = [
        references.forget_upload(tx, work.account_id, sha256, before=work.admitted_at, now=now)
        for sha256 in sorted({each.sha256 for each in work.references})
    ]
    return any(forgotten)
