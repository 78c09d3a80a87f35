"""What a maintenance job is, and what the jobs share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from worker.engine.queries import maintenance
from worker.engine.services import Services
from worker.settings import Settings

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
