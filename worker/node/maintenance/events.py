"""Events of hooks: written down, delivered by threads of their own, and deleted long after they were told."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from worker.batches import events
from worker.batches.queries import completion_feed
from worker.catalog import publishing
from worker.engine.services import Services
from worker.hooks import sending
from worker.hooks.queries import deliveries
from worker.hooks.sending import Sender
from worker.node.maintenance.job import MaintenanceJob, schedule_now

log = structlog.get_logger(__name__)

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


def _deliver(services: Services) -> None:
    """Write down for each hook what it is to be told, and have it sent."""
    events.write_due(services.database, now=services.clock())
    sending.relay(services.database, now=services.clock())
    sending.send_due(
        Sender(
            database=services.database,
            policy=services.policies.hooks,
            url=partial(publishing.image_url, services.store),
            clock=services.clock,
            jitter=services.jitter,
            new_id=services.new_id,
            pool=services.senders,
        )
    )


def _forget(services: Services) -> None:
    """Delete events and the numbers of ends that streams were sent; nothing that is still owed."""
    before = services.clock() - services.policies.event_retention
    for table, forget in _FORGET.items():
        deleted, is_all = _deleted(services, forget, before)
        if deleted:
            log.info("retention.deleted", table=table, rows=deleted, before=before.isoformat())
        if not is_all:
            schedule_now(services, RETENTION.name)


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


HOOKS = MaintenanceJob(name="hooks", every=lambda _: timedelta(seconds=5), run=_deliver)
RETENTION = MaintenanceJob(name="retention", every=lambda _: timedelta(hours=1), run=_forget)
