"""The provider's list of models, read once for all threads that want to know at the same time."""

import threading
import time
from collections.abc import Callable, Mapping

Statuses = Mapping[str, str | None]
"""The ``api_status`` of each listed model."""

_LOCK_WAIT_S = 5.0


class ListBusy(Exception):
    """Another thread is reading the list, and the provider takes long to answer."""


class ModelListing:
    """The last list that was read; safe to share between threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._statuses: Statuses = {}

    def read_since(self, instant: float, ask: Callable[[], Statuses]) -> Statuses:
        """Return a list that was asked for after the instant of ``time.monotonic``; ``ask`` if there is none.

        Raises ListBusy, and whatever ``ask`` raises.
        """
        if not self._lock.acquire(timeout=_LOCK_WAIT_S):
            raise ListBusy
        try:
            if self._asked_at <= instant:
                asked_at = time.monotonic()
                self._statuses = ask()
                self._asked_at = asked_at
            return self._statuses
        finally:
            self._lock.release()
