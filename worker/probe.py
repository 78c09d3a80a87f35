"""Look whether a paused account may go on, without paying for the look."""

from datetime import datetime

import structlog

from worker.db import accounts, session
from worker.domain.errors import PauseReason, ProviderError, Throttled
from worker.services import Services
from worker.steps import pacing
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)


def run(services: Services) -> bool:
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
