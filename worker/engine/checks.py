"""Checks without a paid request: whether a paused account may resume, and whether the store works."""

from datetime import datetime

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts, provider_health
from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import PauseReason, ProviderError, Throttled
from worker.engine.queries import maintenance
from worker.engine.queries.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.engine.steps import availability, calling
from worker.engine.steps.calling import Calls
from worker.provider.wire import why_unavailable
from worker.storage.queries import stores
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)


def check_account(services: Services) -> bool:
    """Check whether paused models are offered again and whether the account may resume. True when it was resumed."""
    _look_for_models(services)
    return _look_at_account(services)


def _look_for_models(services: Services) -> None:
    """Read the provider's list, which is free; the jobs of models that are available again go on."""
    with services.database.transaction() as tx:
        paused = provider_health.paused_models(tx, services.account_id)
    if not paused:
        return
    try:
        statuses = availability.read(services)
    except ProviderError as error:
        log.info("model.still_paused", models=[each.model for each in paused], error=str(error))
        return
    back = [each.model for each in paused if why_unavailable(each.model, statuses) is None]
    with services.database.transaction() as tx:
        resumed = provider_health.resume_model(tx, services.account_id, back, now=services.clock())
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
    asked_at = calling.acquire_permit(services, is_paused_too=True)
    if asked_at is None:
        return False
    calls = Calls(services, None)
    try:
        balance = calls.credits()
    except ProviderError as error:
        if isinstance(error, Throttled):
            calling.close_key(services, error)
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
        write_wallet(tx, services, calls, balance, asked_at)
        is_resumed = not is_still_broke and accounts.resume(tx, services.account_id, reason, now=services.clock())
        if is_resumed:
            session.notify(tx)
    log.info("account.probed", reason=reason, balance=balance, resumed=is_resumed)
    if is_resumed:
        log.info("account.resumed", account=str(services.account_id), reason=reason)
    return is_resumed


def write_wallet(tx: Connection, services: Services, calls: Calls, balance: int, asked_at: datetime) -> None:
    """Write a reading of the wallet, and the calls that it took."""
    accounts.record_wallet(
        tx,
        reading_id=services.new_id(),
        account_id=services.account_id,
        balance=balance,
        now=services.clock(),
        asked_at=asked_at,
    )
    calls.write(tx)


def check_store(services: Services) -> None:
    """Write to the store and read from it as workers do; pause the account when that has failed for a while."""
    try:
        services.store.check()
        services.store.sweep_if_due()
    except StoreUnavailable as error:
        _store_failed(services, error)
    else:
        _store_works(services)


def _store_failed(services: Services, error: StoreUnavailable) -> None:
    """Note since when, and pause an account that is not paused for another reason."""
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        since = stores.note_failure(tx, account.id, now=now)
        is_paused = account.pause_reason is None and now - since >= retry.STORE_PAUSE_AFTER
        if is_paused:
            accounts.pause(
                tx,
                account.id,
                reason=PauseReason.STORE_UNAVAILABLE,
                message=str(error),
                now=now,
                probe_at=None,
                probes=0,
            )
        again_at = now + retry.STORE.wait(now - since, services.jitter())
        maintenance.schedule_now(tx, account.id, MaintenanceName.STORE, due_at=again_at)
    log.error("store.unavailable", store=services.store.place, since=since.isoformat(), error=str(error))
    if is_paused:
        log.error("account.paused", account=str(account.id), reason=PauseReason.STORE_UNAVAILABLE, error=str(error))


def _store_works(services: Services) -> None:
    """End the pause, and let all that waited for the store go on."""
    now = services.clock()
    with services.database.transaction() as tx:
        known = stores.read(tx, services.account_id)
        account = accounts.read(tx, services.account_id)
    is_paused = account is not None and account.pause_reason is PauseReason.STORE_UNAVAILABLE
    if known.failed_at is None and not is_paused:
        return
    with services.database.transaction() as tx:
        accounts.lock(tx, services.account_id)
        stores.forget_failure(tx, services.account_id)
        is_resumed = is_paused and accounts.resume(tx, services.account_id, PauseReason.STORE_UNAVAILABLE, now=now)
        woken = stores.wake(tx, services.account_id, now=now)
        session.notify(tx)
    log.info("store.available", store=services.store.place, resumed=is_resumed, steps=woken)
    if is_resumed:
        log.info("account.resumed", account=str(services.account_id), reason=PauseReason.STORE_UNAVAILABLE)
