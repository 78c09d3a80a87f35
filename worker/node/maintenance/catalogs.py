"""Take in the images of catalogs whose jobs have ended, and start the runs of schedules; idle, each is one query."""

from datetime import timedelta

from worker.catalog import publishing, scheduling
from worker.engine.services import Services
from worker.node.maintenance.job import MaintenanceJob


def _sync_results(services: Services) -> None:
    publishing.sync_results(services.database, now=services.clock(), new_id=services.new_id)


def _tick(services: Services) -> None:
    scheduling.tick(services, now=services.clock())


SYNC_RESULTS = MaintenanceJob(name="sync_results", every=lambda _: timedelta(seconds=5), run=_sync_results)
SCHEDULE = MaintenanceJob(name="schedule", every=lambda _: timedelta(seconds=15), run=_tick)
