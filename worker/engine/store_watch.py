"""Whether the store can be used: while it cannot, nothing more is paid for, and the first good look ends that."""

import structlog

from worker.accounts.queries import accounts
from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import PauseReason
from worker.engine.queries import upkeep
from worker.engine.rules.upkeep import UpkeepKind
from worker.engine.services import Services
from worker.storage.queries import stores
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)


def check(services: Services) -> None:
    """Write to the store and read from it as workers do; pause the account when that has failed for a while."""
    try:
        services.store.check()
        services.store.sweep_if_due()
    except StoreUnavailable as error:
        _failed(services, error)
    else:
        _works(services)


def _failed(services: Services, error: StoreUnavailable) -> None:
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
        upkeep.schedule_now(tx, account.id, UpkeepKind.STORE, due_at=again_at)
    log.error("store.unavailable", store=services.store.place, since=since.isoformat(), error=str(error))
    if is_paused:
        log.error("account.paused", account=str(account.id), reason=PauseReason.STORE_UNAVAILABLE, error=str(error))


def _works(services: Services) -> None:
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
