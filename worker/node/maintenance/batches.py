"""What is due of batches and catalogs: deadlines, bulk operations, results and schedules; idle, each is one query."""

from datetime import timedelta

from worker.batches import bulk_operations, deadlines
from worker.batches.queries import bulk_operations as rows
from worker.batches.queries import job_counts
from worker.catalog import publishing, reviewing, scheduling
from worker.engine.queries.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.node.maintenance.job import MaintenanceJob, schedule_now

BULK_FOR = timedelta(seconds=20)
"""How long one go at bulk operations lasts: the thread does steps too, and the next go follows soon."""


def _end_passed(services: Services) -> None:
    """End what has not ended when its batch's deadline has passed; what may have been paid for is asked about soon."""
    ended = deadlines.end_passed(services.database, services.account_id, now=services.clock())
    if not ended.is_all:
        schedule_now(services, DEADLINES.name, timedelta(0))
    if ended.doubted:
        schedule_now(services, MaintenanceName.REREAD)


def _advance_bulk_operations(services: Services) -> None:
    """Do what is left of bulk operations: those that were started over HTTP, or whose command has ended."""
    with services.database.transaction() as tx:
        running = rows.running(tx)
    until = services.clock() + BULK_FOR
    for operation_id in running:
        for _ in bulk_operations.advance(
            services.database,
            operation_id,
            decide=reviewing.decide_item,
            clock=services.clock,
            new_id=services.new_id,
        ):
            if services.clock() >= until:
                return


def _sync_results(services: Services) -> None:
    """Take in the images of catalogs whose jobs have ended."""
    publishing.sync_results(services.database, now=services.clock(), new_id=services.new_id)


def _fold_counts(services: Services) -> None:
    """Add up the changes of how many jobs are in each state."""
    with services.database.transaction() as tx:
        is_all = job_counts.fold(tx)
    if not is_all:
        schedule_now(services, JOB_COUNTS.name)


def _start_runs(services: Services) -> None:
    """Start the runs of schedules that are due."""
    scheduling.tick(services, now=services.clock())


DEADLINES = MaintenanceJob(name="deadlines", every=lambda _: timedelta(seconds=5), run=_end_passed)
BULK_OPERATIONS = MaintenanceJob(
    name="bulk_operations", every=lambda _: timedelta(seconds=5), run=_advance_bulk_operations
)
SYNC_RESULTS = MaintenanceJob(name="sync_results", every=lambda _: timedelta(seconds=5), run=_sync_results)
JOB_COUNTS = MaintenanceJob(name="job_counts", every=lambda _: timedelta(minutes=1), run=_fold_counts)
SCHEDULE = MaintenanceJob(name="schedule", every=lambda _: timedelta(seconds=15), run=_start_runs)
