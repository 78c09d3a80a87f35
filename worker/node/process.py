"""The parts of this worker process, put together once, when they are first needed."""

from dataclasses import replace
from functools import lru_cache

from worker import settings, wiring
from worker.core.db import schema
from worker.engine.queries import maintenance as maintenance_queries
from worker.engine.services import Services
from worker.node import maintenance
from worker.node.meters import NodeMeters
from worker.settings import Settings


@lru_cache(maxsize=1)
def meters() -> NodeMeters:
    """Return what this process measures of itself."""
    return NodeMeters()


@lru_cache(maxsize=1)
def services() -> Services:
    """Return this process's parts, made from its environment."""
    chosen = settings.load()
    _check_schema(chosen)
    made = wiring.services(chosen)
    with made.database.transaction() as tx:
        maintenance_queries.configure(tx, made.account_id, maintenance.intervals(chosen), now=made.clock())
    return replace(made, meters=meters())


def _check_schema(chosen: Settings) -> None:
    """Raise WrongSchema where a node would meet tables that it was not written for, before it writes to any."""
    database = wiring.database(chosen, connections=1)
    try:
        with database.transaction() as tx:
            schema.check(tx)
    finally:
        database.close()
