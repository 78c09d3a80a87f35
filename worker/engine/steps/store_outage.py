"""What a step does for which the store, or the disk on the way to it, is not available: wait, and count no try."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker.core.rules import retry
from worker.core.rules.errors import STORE_UNAVAILABLE
from worker.core.rules.step import StepKind
from worker.engine.queries import step_moves, upkeep
from worker.engine.queries.steps import Work
from worker.engine.rules import not_downloaded
from worker.engine.rules.upkeep import UpkeepKind
from worker.engine.services import Services
from worker.engine.steps import outcomes
from worker.storage.queries import stores
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)

CHECK_SOON = timedelta(seconds=5)
"""How soon the store is looked at after a step has found it unavailable."""


def postpone(tx: Connection, services: Services, work: Work, error: StoreUnavailable) -> None:
    """Let the step be due later, with the reason; raises StaleFence when it is no longer ours."""
    now = services.clock()
    wait = retry.STORE.wait(now - work.since, services.jitter())
    due_at = now + wait
    if work.kind is StepKind.COLLECT:
        due_at = not_downloaded.next_try(since=work.since, now=now, wait=wait)
    step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts, error=f"{STORE_UNAVAILABLE}: {error}")


def note(services: Services, work: Work, error: StoreUnavailable) -> None:
    """Remember that the store fails, so that it is looked at soon, and paid work stops when that lasts."""
    now = services.clock()
    log.warning("step.waits_for_store", **outcomes.ids(work), step=work.kind, error=str(error))
    if work.kind is StepKind.COLLECT and not_downloaded.is_alarm(since=work.since, due_at=work.due_at, now=now):
        log.error("result.long_not_downloaded", **outcomes.ids(work), since=work.since, code=STORE_UNAVAILABLE)
    if work.store_failed_at is not None:
        return
    with services.database.transaction() as tx:
        stores.note_failure(tx, work.account_id, now=now)
        upkeep.schedule_now(tx, work.account_id, UpkeepKind.STORE, due_at=now + CHECK_SOON)
