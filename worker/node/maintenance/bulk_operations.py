"""Do what is left of bulk operations: those that were started over HTTP, or whose command has ended."""

from datetime import timedelta

from worker.batches import bulk_operations
from worker.batches.queries import bulk_operations as rows
from worker.catalog import bulk_deciding
from worker.engine.services import Services
from worker.node.maintenance.job import MaintenanceJob

FOR = timedelta(seconds=20)
"""How long one go lasts: the thread does steps too, and the next go follows soon."""


def _run(services: Services) -> None:
    with services.database.transaction() as tx:
        running = rows.running(tx)
    until = services.clock() + FOR
    for operation_id in running:
        for _ in bulk_operations.advance(
            services.database,
            operation_id,
            decide=bulk_deciding.decide_item,
            clock=services.clock,
            new_id=services.new_id,
        ):
            if services.clock() >= until:
                return


JOB = MaintenanceJob(name="bulk_operations", every=lambda _: timedelta(seconds=5), run=_run)
