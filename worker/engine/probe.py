"""Look whether a paused account may go on, without paying for the look."""

from datetime import datetime

import structlog

from worker.accounts.queries import accounts, model_pauses
from worker.core.db import session
from worker.core.rules.errors import PauseReason, ProviderError, Throttled
from worker.engine.services import Services
from worker.engine.steps import availability, pacing
from worker.engine.steps.calling import Calls
from worker.provider.rules.availability import why_not

log = structlog.get_logger(__name__)


def run(services: Services) -> bool:
    """Look whether paused models are back, and whether the account may go on. True when it was resumed."""
    _look_for_models(services)
    return _look_at_account(services)


def _look_for_models(services: Services) -> None:
    """Read the provider's list, which is free; the jobs of models that are available again go on."""
    with services.database.transaction() as tx:
        paused = model_pauses.of_account(tx, services.account_id)
    if not paused:
        return
    try:
        statuses = availability.read(services)
    except ProviderError as error:
        log.info("model.still_paused", models=[each.model for each in paused], error=str(error))
        return
    back = [each.model for each in paused if why_not(each.model, statuses) is None]
    with services.database.transaction() as tx:
        resumed = model_pauses.resume(tx, services.account_id, back, now=services.clock())
        session.notify(tx)
    for model in resumed:
        log.info("model.resumed", account=str(services.account_id), model=model)


def _look_at_account(services: Services) -> bool:
    """Read the wallet; resume the account when the reason of its pause is gone. True when it was resumed.

    It takes a slot of the pace; while the key is closed there is no look.
    """
    with services.database.transaction() as tx:
        account = accounts.read(tx, services.account_id)
        price = accounts.lowest_price(tx, services.account_id)
    if account is None or account.pause_reason is None or not account.pause_reason.ends_by_itself:
        return False
    asked_at = pacing.take_slot(services, is_paused_too=True)
    if asked_at is None:
        return False
    calls = Calls(services, None)
    try:
        balance = calls.credits()
    except ProviderError as error:
        if isinstance(error, Throttled):
            pacing.close_key(services, error)
        log.info("account.still_paused", reason=account.pause_reason, error=str(error))
        with services.database.transaction() as tx:
            calls.write(tx)
        return False
    return _record(services, calls, account.pause_reason, balance, price, asked_at)


def _record(
    services: Services, calls: Calls, reason: PauseReason, balance: int, price: int, asked_at: datetime
) -> bool:
    is_still_broke = reason is PauseReason.INSUFFICIENT_CREDITS and balance < price
    with services.database.transaction() as tx:
        accounts.record_wallet(
            tx,
            reading_id=services.new_id(),
            account_id=services.account_id,
            balance=balance,
            now=services.clock(),
            asked_at=asked_at,
        )
        calls.write(tx)
        is_resumed = not is_still_broke and accounts.resume(tx, services.account_id, reason, now=services.clock())
        if is_resumed:
            session.notify(tx)
    log.info("account.probed", reason=reason, balance=balance, resumed=is_resumed)
    return is_resumed
