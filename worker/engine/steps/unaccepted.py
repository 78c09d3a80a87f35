"""What becomes of a job whose create the provider did not accept: only what is certain takes a hold back."""

from datetime import timedelta
from typing import assert_never

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts
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
from worker.engine.queries import calls as call_log
from worker.engine.queries import generations, step_moves
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes, provider_health
from worker.engine.steps.calling import Calls
from worker.engine.steps.provider_health import Verdict
from worker.storage.queries import references

log = structlog.get_logger(__name__)


def record(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    """Record what is certain: a hold is taken back only when no copy of the request can have created anything."""
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    try:
        with services.database.transaction() as tx:
            verdict = _settle(tx, services, work, error, wait)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        provider_health.lost(services, work, error)
        _give_back_others(services, work, error, verdict)


def look_again(services: Services, work: Work) -> None:
    """Settle a refusal that was left undecided when it came; nothing is sent."""
    try:
        with services.database.transaction() as tx:
            account = accounts.lock(tx, work.account_id)
            error = call_log.last_refusal(tx, work.generation_id)
            verdict = provider_health.judge_refusal(tx, services, account, work, code=error.code)
            _end_or_wait(tx, services, work, error, verdict)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
    else:
        _give_back_others(services, work, error, verdict)


def _give_back_others(services: Services, work: Work, error: ProviderError, verdict: Verdict | None) -> None:
    if verdict is Verdict.THE_PROVIDERS:
        provider_health.give_back(services, work, error.code)


def _end_or_wait(tx: Connection, services: Services, work: Work, error: ProviderError, verdict: Verdict) -> None:
    """End a refused job, or put it back in line, or let it wait for what others say of the provider."""
    match verdict:
        case Verdict.THE_JOBS:
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
        case Verdict.THE_PROVIDERS:
            outcomes.give_back_unpaid(tx, work, error, services)
        case Verdict.UNDECIDED | Verdict.ALONE:
            provider_health.put_off(tx, services, work, error.code, verdict)
        case _:
            assert_never(verdict)


def _settle(  # noqa: C901 - one case for each class of answer
    tx: Connection, services: Services, work: Work, error: ProviderError, wait: timedelta
) -> Verdict | None:
    """Write what becomes of the job; return whose failure a refusal is, where that was judged."""
    due_at = services.clock() + wait
    match error:
        case ModelUnavailable() if not work.has_unanswered_send:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.note_nothing_created(tx, work.generation_id)
        case Refused() | NotFound(code="not_found") if work.has_unanswered_send:
            outcomes.doubt(tx, work, error, services)
        case ContentRefused():
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
            generations.note_nothing_created(tx, work.generation_id)
        case Refused() | NotFound(code="not_found"):
            return _settle_refusal(tx, services, work, error)
        case AccountPaused() if not work.has_unanswered_send:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.note_nothing_created(tx, work.generation_id)
        case Throttled() if work.has_unanswered_send:
            # If the provider remembers this 429 under the key, asking at its pace would close the key for all others.
            due_at = max(due_at, services.clock() + retry.CALL.wait(work.attempts + 1, services.jitter()))
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=error)
            generations.note_nothing_created(tx, work.generation_id)
        case Throttled() if work.answers + 1 >= retry.THROTTLED_SENDS:
            outcomes.give_back_unpaid(tx, work, error, services)
            generations.note_nothing_created(tx, work.generation_id)
        case Unavailable() if _is_turned_away_for_good(services, work, error):
            outcomes.fail_unpaid(tx, work, error, GenerationState.REFUSED, services)
            generations.note_nothing_created(tx, work.generation_id)
        case AccountPaused() | ModelUnavailable() | Throttled() | Unavailable() | NotFound():
            attempts = work.attempts + isinstance(error, ModelUnavailable | Unavailable | NotFound)
            step_moves.postpone(tx, work, due_at=due_at, attempts=attempts, error=error)
            generations.note_nothing_created(tx, work.generation_id)
        case Conflict() if not work.has_unanswered_send or _is_a_conflict_for_good(services, work):
            outcomes.doubt(tx, work, error, services)
        case _:
            step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=error)
    return None


def _settle_refusal(tx: Connection, services: Services, work: Work, error: ProviderError) -> Verdict | None:
    """Settle a refused create that neither its content nor its model explains; the account is locked first."""
    account = accounts.lock(tx, work.account_id) if services.policies.has_brakes else None
    verdict = None
    if _may_be_its_upload(tx, services, work):
        outcomes.give_back_unpaid(tx, work, error, services, failures=1)
    else:
        if account is not None:
            verdict = provider_health.judge_refusal(tx, services, account, work, code=error.code)
        _end_or_wait(tx, services, work, error, verdict or Verdict.THE_JOBS)
    generations.note_nothing_created(tx, work.generation_id)
    return verdict


def _is_turned_away_for_good(services: Services, work: Work, error: Unavailable) -> bool:
    """Return whether something on the way has answered for a day that this request is wrong, and none was lost."""
    is_client_error = error.status is not None and 400 <= error.status < 500  # noqa: PLR2004 (a class of statuses)
    waited = services.clock() - work.since
    is_in_vain = retry.is_offered_in_vain(tries=work.attempts + 1, waited=waited)
    return is_client_error and not work.has_unanswered_send and is_in_vain


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
