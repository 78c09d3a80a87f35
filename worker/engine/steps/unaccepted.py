"""Outcomes of a create that the provider did not accept: a hold is released only when surely nothing was created."""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from sqlalchemy import Connection

from worker.accounts.queries import accounts
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
from worker.core.rules.states import GenerationState
from worker.engine.queries import calls as call_log
from worker.engine.queries.generations import NothingCreated
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes, provider_health
from worker.engine.steps.calling import Calls
from worker.engine.steps.provider_health import Verdict
from worker.engine.steps.transitions import Transition, write_alone
from worker.storage.queries import references


def record(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    """Record what is certain: a hold is taken back only when no copy of the request can have created anything."""
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    recorded = write_alone(services, work, lambda tx: _decided(tx, services, work, error, wait), calls)
    if recorded is not None:
        provider_health.lost(services, work, error)
        _excuse_others(services, work, error, recorded)


def look_again(services: Services, work: Work) -> None:
    """Settle an undecided refusal; nothing is sent."""
    errors: list[ProviderError] = []

    def decided(tx: Connection) -> Transition:
        account = accounts.lock(tx, work.account_id)
        errors.append(call_log.last_refusal(tx, work.generation_id))
        verdict = provider_health.judge_refusal(tx, services, account, work, code=errors[0].code)
        return _end_or_wait(services, work, errors[0], verdict)

    recorded = write_alone(services, work, decided)
    if recorded is not None:
        _excuse_others(services, work, errors[0], recorded)


def _excuse_others(services: Services, work: Work, error: ProviderError, recorded: Transition) -> None:
    if recorded.is_providers_fault:
        provider_health.give_back(services, work, error.code)


def _end_or_wait(
    services: Services, work: Work, error: ProviderError, verdict: Verdict, *, answered: int = 0
) -> Transition:
    """End a refused job, or put it back in line, or let it wait for what others say of the provider."""
    match verdict:
        case Verdict.THE_JOBS:
            return outcomes.fail_unpaid(work, error, GenerationState.REFUSED, answered=answered)
        case Verdict.THE_PROVIDERS:
            return replace(outcomes.void_and_requeue(work, error, answered=answered), is_providers_fault=True)
        case Verdict.UNDECIDED | Verdict.ALONE:
            postpone_undecided = provider_health.postpone_undecided(services, work, error.code, verdict)
            return replace(postpone_undecided, generation=NothingCreated() if answered else None)
        case _:
            assert_never(verdict)


def _decided(  # noqa: C901, PLR0911 - one case for each class of answer
    tx: Connection, services: Services, work: Work, error: ProviderError, wait: timedelta
) -> Transition:
    """Decide what follows for the job; every answer but a doubtful one says that the last send created nothing."""
    due_at = services.clock() + wait
    match error:
        case ModelUnavailable() if not work.has_unanswered_send:
            return outcomes.void_and_requeue(work, error, answered=1)
        case Refused() | NotFound(code="not_found") if work.has_unanswered_send:
            return outcomes.doubt(work, error)
        case ContentRefused():
            return outcomes.fail_unpaid(work, error, GenerationState.REFUSED, answered=1)
        case Refused() | NotFound(code="not_found"):
            return _refused(tx, services, work, error)
        case AccountPaused() if not work.has_unanswered_send:
            return outcomes.void_and_requeue(work, error, answered=1)
        case Throttled() if work.has_unanswered_send:
            # If the provider remembers this 429 under the key, asking at its pace would close the key for all others.
            due_at = max(due_at, services.clock() + retry.CALL.wait(work.attempts + 1, services.jitter()))
            postponed = outcomes.postpone(work, due_at=due_at, attempts=1, error=error)
            return replace(postponed, generation=NothingCreated())
        case Throttled() if work.answers + 1 >= retry.THROTTLED_SENDS:
            return outcomes.void_and_requeue(work, error, answered=1)
        case Unavailable() if _is_turned_away_for_good(services, work, error):
            return outcomes.fail_unpaid(work, error, GenerationState.REFUSED, answered=1)
        case AccountPaused() | ModelUnavailable() | Throttled() | Unavailable() | NotFound():
            attempts = int(isinstance(error, ModelUnavailable | Unavailable | NotFound))
            postponed = outcomes.postpone(work, due_at=due_at, attempts=attempts, error=error)
            return replace(postponed, generation=NothingCreated())
        case Conflict() if not work.has_unanswered_send or _is_a_conflict_for_good(services, work):
            return outcomes.doubt(work, error)
        case _:
            return outcomes.postpone(work, due_at=due_at, attempts=1, error=error)


def _refused(tx: Connection, services: Services, work: Work, error: ProviderError) -> Transition:
    """Decide on a refused create that neither its content nor its model explains; the account is locked first."""
    account = accounts.lock(tx, work.account_id) if services.policies.has_brakes else None
    if _may_be_its_upload(tx, services, work):
        return outcomes.void_and_requeue(work, error, failures=1, answered=1)
    verdict = Verdict.THE_JOBS
    if account is not None:
        verdict = provider_health.judge_refusal(tx, services, account, work, code=error.code)
    return _end_or_wait(services, work, error, verdict, answered=1)


def _is_turned_away_for_good(services: Services, work: Work, error: Unavailable) -> bool:
    """Return whether something on the way has answered for a day that this request is wrong, and none was lost."""
    is_client_error = error.status is not None and 400 <= error.status < 500  # noqa: PLR2004 (a class of statuses)
    waited = services.clock() - work.since
    is_in_vain = retry.is_offered_in_vain(tries=work.attempts + 1, waited=waited)
    return is_client_error and not work.has_unanswered_send and is_in_vain


def _is_a_conflict_for_good(services: Services, work: Work) -> bool:
    """Return whether the first request can no longer be under way."""
    return work.first_sent_at is None or services.clock() >= work.first_sent_at + retry.CONFLICT_PERIOD


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
