"""Write down for each hook what it is to be told, and have it sent by threads of their own."""

from datetime import timedelta
from functools import partial

from worker.batches import events
from worker.catalog import export
from worker.engine.services import Services
from worker.hooks import sending
from worker.hooks.sending import Sender
from worker.node.maintenance.job import MaintenanceJob


def _run(services: Services) -> None:
    events.look(services.database, now=services.clock())
    sending.relay(services.database, now=services.clock())
    sending.send_due(
        Sender(
            database=services.database,
            policy=services.policies.hooks,
            url=partial(export.url, services.store),
            clock=services.clock,
            jitter=services.jitter,
            new_id=services.new_id,
            pool=services.senders,
        )
    )


JOB = MaintenanceJob(name="hooks", every=lambda _: timedelta(seconds=5), run=_run)
