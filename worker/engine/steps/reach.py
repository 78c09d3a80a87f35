"""Whether paid images can be had at all: while they cannot, nothing more is paid for."""

import structlog

from worker.accounts.queries import accounts
from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import PauseReason
from worker.engine.queries import unreached
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes
from worker.storage.queries import stores

log = structlog.get_logger(__name__)

COLLECTED_EVERY = retry.UNREACHABLE_AFTER / 3
"""How exactly the time of the last image is known: the account's row is not written for every one."""


def missed(services: Services, work: Work, words: str) -> None:
    """Pause the account when so many paid images in a row could not be downloaded; downloads are still tried."""
    now = services.clock()
    before = now - retry.UNREACHABLE_AFTER
    if work.pause_reason is not None or now < work.since + retry.UNREACHABLE_AFTER:
        return
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        if account.pause_reason is not None or not unreached.is_whole_row(
            tx, work.account_id, count=retry.UNREACHABLE_COUNT, before=before, fresh_after=before - COLLECTED_EVERY
        ):
            return
        accounts.pause(
            tx,
            work.account_id,
            reason=PauseReason.RESULTS_UNREACHABLE,
            message=words,
            now=now,
            probe_at=None,
            probes=0,
        )
    log.error("account.paused", account=str(work.account_id), reason=PauseReason.RESULTS_UNREACHABLE, error=words)


def collected(services: Services, work: Work) -> None:
    """Store that an image was downloaded, and end a pause for failed downloads."""
    now = services.clock()
    is_paused = work.pause_reason is PauseReason.RESULTS_UNREACHABLE
    is_known = work.collected_at is not None and now < work.collected_at + COLLECTED_EVERY
    if not is_paused and work.store_failed_at is None and is_known:
        return
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        unreached.remember_collected(tx, work.account_id, now=now)
        stores.forget_failure(tx, work.account_id)
        if account.pause_reason is PauseReason.RESULTS_UNREACHABLE:
            accounts.resume(tx, work.account_id, PauseReason.RESULTS_UNREACHABLE, now=now)
            session.notify(tx)
            log.info("account.resumed", **outcomes.ids(work), reason=PauseReason.RESULTS_UNREACHABLE)
