"""Pause what cannot go on: while the store is away, or while paid images cannot be downloaded."""

from datetime import timedelta

import structlog

from worker.accounts.queries import accounts
from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import STORE_UNAVAILABLE, PauseReason
from worker.core.rules.states import StepKind
from worker.engine.queries import maintenance, results
from worker.engine.queries.maintenance import MaintenanceName
from worker.engine.queries.steps import Work
from worker.engine.rules import give_up
from worker.engine.services import Services
from worker.engine.steps import outcomes, transitions
from worker.engine.steps.transitions import Transition
from worker.storage.queries import stores
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)
CHECK_SOON = timedelta(seconds=5)
"""How soon the store is looked at after a step has found it unavailable."""


def postpone(services: Services, work: Work, error: StoreUnavailable) -> Transition:
    """Let the step be due later, with the reason."""
    now = services.clock()
    wait = retry.STORE.wait(now - work.since, services.jitter())
    due_at = now + wait
    if work.kind is StepKind.COLLECT:
        due_at = give_up.next_try(since=work.since, now=now, wait=wait)
    return outcomes.postpone(work, due_at=due_at, error=f"{STORE_UNAVAILABLE}: {error}")


def note(services: Services, work: Work, error: StoreUnavailable) -> None:
    """Remember that the store fails, so that it is looked at soon, and paid work stops when that lasts."""
    now = services.clock()
    log.warning("step.waits_for_store", **transitions.ids(work), step=work.kind, error=str(error))
    if work.kind is StepKind.COLLECT and give_up.is_alarm(since=work.since, due_at=work.due_at, now=now):
        log.error("result.long_not_downloaded", **transitions.ids(work), since=work.since, code=STORE_UNAVAILABLE)
    if work.store_failed_at is not None:
        return
    with services.database.transaction() as tx:
        stores.note_failure(tx, work.account_id, now=now)
        maintenance.schedule_now(tx, work.account_id, MaintenanceName.STORE, due_at=now + CHECK_SOON)


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
        if account.pause_reason is not None or not results.have_downloads_failed_in_a_row(
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
        results.remember_collected(tx, work.account_id, now=now)
        stores.forget_failure(tx, work.account_id)
        if account.pause_reason is PauseReason.RESULTS_UNREACHABLE:
            accounts.resume(tx, work.account_id, PauseReason.RESULTS_UNREACHABLE, now=now)
            session.notify(tx)
            log.info("account.resumed", **transitions.ids(work), reason=PauseReason.RESULTS_UNREACHABLE)
