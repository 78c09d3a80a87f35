"""What nodes do again and again, whatever the jobs do.

A new job is a function in one of the modules here, or in a new one, and one line below.
"""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from worker.core.rules.errors import with_type
from worker.engine import checks
from worker.engine.queries import maintenance
from worker.engine.queries.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.node.maintenance import batches, books, events
from worker.node.maintenance.job import MaintenanceJob
from worker.settings import Settings

log = structlog.get_logger(__name__)

JOBS: Mapping[str, MaintenanceJob] = {
    job.name: job
    for job in (
        books.WALLET,
        books.SEAL,
        books.REREAD,
        batches.DEADLINES,
        batches.BULK_OPERATIONS,
        batches.SYNC_RESULTS,
        batches.JOB_COUNTS,
        batches.SCHEDULE,
        events.HOOKS,
        events.RETENTION,
        # One that failed is looked at more often.
        MaintenanceJob(name=MaintenanceName.STORE, every=lambda _: timedelta(minutes=1), run=checks.check_store),
    )
}


def intervals(settings: Settings) -> dict[str, timedelta]:
    """Return how often each job is due."""
    return {job.name: job.every(settings) for job in JOBS.values()}


def run(services: Services, name: str) -> None:
    """Do a job once, and note how it ended. A job that only a newer version knows is left to nodes of that version."""
    job = JOBS.get(name)
    if job is None:
        log.warning("maintenance.unknown", kind=name)
        return
    error: str | None = None
    try:
        job.run(services)
    except Exception as crash:
        log.exception("maintenance.crashed", kind=name)
        error = with_type(crash)
    with services.database.transaction() as tx:
        maintenance.note_end(tx, services.account_id, name, error=error, now=services.clock())
