"""What a maintenance job is, and what the jobs share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from worker.accounts.queries import accounts
from worker.accounts.queries.accounts import AccountRow
from worker.core.rules.errors import ProviderError, Throttled
from worker.engine.queries import maintenance
from worker.engine.services import Services
from worker.engine.steps import calling
from worker.engine.steps.calling import Calls
from worker.settings import Settings

log = structlog.get_logger(__name__)

SOON = timedelta(seconds=10)
"""How soon what could not be done is tried again, where its interval would be too long."""


@dataclass(frozen=True, kw_only=True)
class MaintenanceJob:
    """Work that comes due every so often for each account; done twice, or late, it does no harm."""

    name: str
    every: Callable[[Settings], timedelta]
    run: Callable[[Services], None]


def schedule_now(services: Services, name: str, wait: timedelta = SOON) -> None:
    """Make a job due after a short wait, unless it is due before."""
    with services.database.transaction() as tx:
        maintenance.schedule_now(tx, services.account_id, name, due_at=services.clock() + wait)


def note_failed_call(services: Services, calls: Calls, error: ProviderError, *, name: str) -> AccountRow:
    """Record a call that the provider refused; a throttled one closes the key. Return the account as it was."""
    if isinstance(error, Throttled):
        calling.close_key(services, error)
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        calls.write(tx)
    log.warning("maintenance.failed", kind=name, error=str(error))
    return account
