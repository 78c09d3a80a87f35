"""Whether a refusal is about the model: it is believed to be the request's fault only when the model is available."""

import time

import structlog

from worker.accounts.queries import provider_health
from worker.core.rules.errors import ModelUnavailable, NotFound, ProviderError, Refused, Throttled, Unavailable
from worker.core.rules.states import LEASES, StepKind
from worker.engine.queries import step_moves
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import calling, outcomes
from worker.engine.steps.calling import Calls
from worker.provider import wire
from worker.provider.client import ListBusy, Statuses

log = structlog.get_logger(__name__)

_LOOK = LEASES[StepKind.SUBMIT] * 2
"""How long the step is kept for reading the list, which is a call of its own."""

_UNREAD = "model_list_unread"
_BACK = "offered again since the create was sent"


def checked_refusal(services: Services, work: Work, error: ProviderError) -> ProviderError:
    """Return what a failed create means: a refusal counts as such only when the provider lists the model as available.

    The list is read after the refusal, which costs nothing. A model that is not available is paused. While the list
    cannot be read nothing is known: the create is tried again later. A refusal of a create that was sent before a
    pause of the model ended is the model's, too. Raises StaleFence when the step is no longer ours.
    """
    if not isinstance(error, Refused | NotFound):
        return error
    refused_at = time.monotonic()
    with services.database.transaction() as tx:
        step_moves.keep(tx, work, until=services.clock() + _LOOK)
    try:
        statuses = services.listing.read_since(refused_at, lambda: read(services))
    except (ProviderError, ListBusy) as unread:
        return Unavailable(_UNREAD, f"whether the refusal is about the model is not known: {unread}")
    status = wire.why_unavailable(work.model, statuses)
    if status is None:
        return ModelUnavailable(work.model, _BACK, str(error), error.request_id) if _is_back(services, work) else error
    _pause(services, work, error, status)
    return ModelUnavailable(work.model, status, str(error), error.request_id)


def _is_back(services: Services, work: Work) -> bool:
    """Return whether the create was sent before a pause of the model ended, so that its refusal may be the model's."""
    with services.database.transaction() as tx:
        resumed_at = provider_health.model_resumed_at(tx, work.account_id, work.model)
    return resumed_at is not None and work.first_sent_at is not None and work.first_sent_at <= resumed_at


def read(services: Services) -> Statuses:
    """Read the provider's list in a slot of the pace; raise ProviderError."""
    if calling.acquire_permit(services) is None:
        raise Unavailable(_UNREAD, "the key is closed, or the account is paused")
    calls = Calls(services, None)
    try:
        return {each.id: each.api_status for each in calls.models()}
    except Throttled as error:
        calling.close_key(services, error)
        raise
    finally:
        with services.database.transaction() as tx:
            calls.write(tx)


def _pause(services: Services, work: Work, error: ProviderError, status: str) -> None:
    with services.database.transaction() as tx:
        is_new = provider_health.pause_model(
            tx,
            work.account_id,
            work.model,
            status=status,
            message=str(error),
            now=services.clock(),
            relapse=outcomes.RELAPSE,
            jitter=services.jitter(),
        )
    if is_new:
        account = str(work.account_id)
        log.error("model.paused", account=account, model=work.model, status=status, error=str(error))
