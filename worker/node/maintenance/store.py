"""Look whether the store is the right one and takes images; one that failed is looked at more often."""

from datetime import timedelta

from worker.engine import checks
from worker.engine.rules.maintenance import MaintenanceName
from worker.node.maintenance.job import MaintenanceJob

JOB = MaintenanceJob(name=MaintenanceName.STORE, every=lambda _: timedelta(minutes=1), run=checks.check_store)
