"""The parts of this worker process, put together once, when they are first needed."""

from functools import lru_cache

from worker import settings, wiring
from worker.engine.services import Services


@lru_cache(maxsize=1)
def services() -> Services:
    """Return this process's parts, made from its environment."""
    return wiring.services(settings.load())
