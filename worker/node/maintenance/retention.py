"""Delete events that were told long ago, and the numbers of ends that streams were sent; nothing that is still owed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.batches.queries import completion_feed
from worker.engine.services import Services
from worker.hooks.queries import deliveries
from worker.node.maintenance.job import MaintenanceJob, schedule_now

log = structlog.get_logger(__name__)

RETENTION = "retention"
AT_ONCE = 2_000
"""Rows of one transaction, so that no lock of it is held for long."""
PORTIONS = 20
"""Transactions of one run and table; what is left has its turn soon."""
_FORGET: dict[str, Callable[[Connection, datetime, int], int]] = {
    "hook_delivery": deliveries.delete_delivered,
    # After the deliveries: an event goes with its last one.
    "event": deliveries.delete_events,
    "feed_event": completion_feed.delete_numbers,
}


def _run(services: Services) -> None:
    before = services.clock() - services.policies.event_retention
    for table, forget in _FORGET.items():
        deleted, is_all = _deleted(services, forget, before)
        if deleted:
            log.info("retention.deleted", table=table, rows=deleted, before=before.isoformat())
        if not is_all:
            schedule_now(services, RETENTION)


def _deleted(
    services: Services, forget: Callable[[Connection, datetime, int], int], before: datetime
) -> tuple[int, bool]:
    """Return how many rows were deleted, and whether none is left."""
    deleted = 0
    for _ in range(PORTIONS):
        with services.database.transaction() as tx:
            rows = forget(tx, before, AT_ONCE)
        deleted += rows
        if rows < AT_ONCE:
            return deleted, True
    return deleted, False


JOB = MaintenanceJob(name=RETENTION, every=lambda _: timedelta(hours=1), run=_run)
