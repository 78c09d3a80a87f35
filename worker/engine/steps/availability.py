"""Whether a refusal is about the model: it is believed to be the request's fault only when the model is available."""

import time

import structlog

from worker.accounts.queries import model_pauses
from worker.core.rules.errors import ModelUnavailable, NotFound, ProviderError, Refused, Throttled, Unavailable
from worker.core.rules.step import LEASES, StepKind
from worker.engine.queries import step_moves
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes, pacing
from worker.engine.steps.calling import Calls
from worker.provider.model_listing import ListBusy, Statuses
from worker.provider.rules import availability

log = structlog.get_logger(__name__)

_LOOK = LEASES[StepKind.SUBMIT] * 2
"""How long the step is kept for reading the list, which is a call of its own."""

_UNREAD = "model_list_unread"


def judged(services: Services, work: Work, error: ProviderError) -> ProviderError:
    """Return what a failed create means: a refusal counts as such only when the provider lists the model as available.

    The list is read after the refusal, which costs nothing. A model that is not available is paused. While the list
    cannot be read nothing is known: the create is tried again later. Raises StaleFence when the step is no longer ours.
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
    status = availability.why_not(work.model, statuses)
    if status is None:
        return error
    _pause(services, work, error, status)
    return ModelUnavailable(work.model, status, str(error), error.request_id)


def read(services: Services) -> Statuses:
    """Read the provider's list in a slot of the pace; raise ProviderError."""
    if pacing.take_slot(services) is None:
        raise Unavailable(_UNREAD, "the key is closed, or the account is paused")
    calls = Calls(services, None)
    try:
        return {each.id: each.api_status for each in calls.models()}
    except Throttled as error:
        pacing.close_key(services, error)
        raise
    finally:
        with services.database.transaction() as tx:
            calls.write(tx)


def _pause(services: Services, work: Work, error: ProviderError, status: str) -> None:
    with services.database.transaction() as tx:
        is_new = model_pauses.pause(
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
