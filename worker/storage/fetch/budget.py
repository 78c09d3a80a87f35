"""What fetching all references of one message may take together: time, number and bytes."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta

from worker.core.rules.fault import UnfitError
from worker.storage.fetch.download import FetchLimits


class FetchNeeded(Exception):
    """A reference has to be fetched, and the thread that asked may not wait for that."""


@dataclass(frozen=True, kw_only=True)
class FetchBounds:
    """The most that fetching the references of one message may take."""

    time: timedelta = timedelta(minutes=5)
    """From the first fetch to the end of the last one."""
    count: int = 1_000
    size_bytes: int = 1_000_000_000
    """Of all that is fetched; exceeded by no more than the fetches that run at once."""


class FetchBudget:
    """What is left of the bounds; safe to share between the threads that fetch for one message."""

    def __init__(self, bounds: FetchBounds) -> None:
        """Begin with all of it; the time runs from the first fetch on."""
        self._bounds = bounds
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._count = 0
        self._size_bytes = 0
        self._is_ended = False

    def begin(self, limits: FetchLimits) -> FetchLimits:
        """Count one more fetch, and return the limits that are left for it; raise UnfitError when none are."""
        with self._lock:
            if self._until_s is None:
                self._until_s = time.monotonic() + self._bounds.time.total_seconds()
            self._count += 1
            left_s = self._until_s - time.monotonic()
            if self._is_ended:
                raise UnfitError("was not fetched: the message is no longer processed by this node")
            if left_s <= 0:
                raise _exceeded(f"may take {self._bounds.time.total_seconds():g} s")
            if self._count > self._bounds.count:
                raise _exceeded(f"may be {self._bounds.count:,} in number")
            if self._size_bytes >= self._bounds.size_bytes:
                raise _exceeded(f"may have {self._bounds.size_bytes:,} bytes")
            return replace(limits, total_s=min(limits.total_s, left_s))

    def fetched(self, size_bytes: int) -> None:
        """Count the bytes of a fetch that is done."""
        with self._lock:
            self._size_bytes += size_bytes

    @property
    def is_ended(self) -> bool:
        """Whether fetching was cancelled."""
        return self._is_ended

    def end(self) -> None:
        """Begin no further fetch."""
        self._is_ended = True


class NothingFetched(FetchBudget):
    """The budget of a thread that may not wait for a fetch."""

    def __init__(self) -> None:
        """Have none."""
        super().__init__(FetchBounds(count=0))

    def begin(self, limits: FetchLimits) -> FetchLimits:  # noqa: ARG002 - there are none
        """Raise FetchNeeded."""
        raise FetchNeeded


def _exceeded(bound: str) -> UnfitError:
    return UnfitError(f"was not fetched: the references of one message {bound} together; send several messages")
