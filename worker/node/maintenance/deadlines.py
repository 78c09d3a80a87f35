"""End what has not ended when its batch's deadline has passed; what may have been paid for is asked about soon."""

from datetime import timedelta

from worker.batches import deadlines
from worker.engine.rules.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.node.maintenance.job import MaintenanceJob, schedule_now

DEADLINES = "deadlines"
EVERY = timedelta(seconds=5)
"""A look is one short query while no deadline has passed."""


def _run(services: Services) -> None:
    ended = deadlines.end_passed(services.database, services.account_id, now=services.clock())
    if not ended.is_all:
        schedule_now(services, DEADLINES, timedelta(0))
    if ended.doubted:
        schedule_now(services, MaintenanceName.REREAD)


JOB = MaintenanceJob(name=DEADLINES, every=lambda _: EVERY, run=_run)
