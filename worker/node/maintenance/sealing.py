"""Bind the new entries of the ledger by a seal, and log its hash: an anchor outside the database."""

import structlog

from worker.audit import sealing
from worker.audit.queries import seals
from worker.engine.rules.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.node.maintenance.job import MaintenanceJob, schedule_now

log = structlog.get_logger(__name__)


def _run(services: Services) -> None:
    with services.database.transaction() as tx:
        before = seals.last(tx)
    try:
        newest = sealing.seal(services.database, now=services.clock())
    except sealing.LedgerBusy as error:
        log.warning("ledger.not_sealed", error=str(error))
        schedule_now(services, MaintenanceName.SEAL)
        return
    if newest is not None and newest != before:
        log.info(
            "ledger.sealed",
            seal=newest.id,
            hash=newest.hash.hex(),
            until=newest.last_entry_id,
            sealed_at=newest.sealed_at.isoformat(),
        )


JOB = MaintenanceJob(name=MaintenanceName.SEAL, every=lambda settings: settings.seal_every, run=_run)
