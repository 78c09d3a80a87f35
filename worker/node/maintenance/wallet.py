"""Read the wallet, so that every credit that leaves it can be explained; waiting admissions go on."""

from worker.core.db import session
from worker.core.rules.errors import ProviderError
from worker.engine import checks
from worker.engine.rules.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.engine.steps import calling
from worker.engine.steps.calling import Calls
from worker.node.maintenance.job import MaintenanceJob, note_failed_call, schedule_now


def _run(services: Services) -> None:
    asked_at = calling.acquire_permit(services)
    if asked_at is None:
        return
    calls = Calls(services, None)
    try:
        balance = calls.credits()
    except ProviderError as error:
        account = note_failed_call(services, calls, error, name=MaintenanceName.WALLET)
        # A floor holds back every admission until the wallet was read once.
        if services.policies.wallet_floor is not None and account.wallet_left is None:
            schedule_now(services, MaintenanceName.WALLET)
        return
    with services.database.transaction() as tx:
        checks.write_wallet(tx, services, calls, balance, asked_at)
        session.notify(tx)


JOB = MaintenanceJob(name=MaintenanceName.WALLET, every=lambda settings: settings.wallet_every, run=_run)
