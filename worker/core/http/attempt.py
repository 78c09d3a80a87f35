"""One HTTP request on the wire: whether it may have left, and its total deadline."""

import contextlib
import heapq
import socket
import threading
import time
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Self

_local = threading.local()


class Attempt:
    """What is known of one request; used by the thread that makes it, and cut by the watchdog."""

    def __init__(self, *, total_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin the deadline's ``total_s`` seconds with ``with``."""
        self.has_begun = False
        """Whether a byte of the request may have left: the connection, TLS and any tunnel included, was up."""
        self.is_over = False
        """Whether the deadline has passed."""
        self._total_s = total_s
        self._monotonic = monotonic
        self._ends_at = 0.0
        self._wire: socket.socket | None = None
        self._cancel: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._ends_at = self._monotonic() + self._total_s
        self._cancel = _watchdog.schedule(self._total_s, self._cut)
        _local.attempt = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel()
        _local.attempt = None

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline; never zero, which a socket takes for non-blocking."""
        return max(self._ends_at - self._monotonic(), 0.001)

    def use(self, wire: socket.socket) -> None:
        """Let the deadline cut this socket; raises TimeoutError when it has passed already."""
        self._wire = wire
        if self.is_over:
            raise TimeoutError("the deadline passed before the connection was established")

    def _cut(self) -> None:
        """End the exchange from the watchdog's thread: a blocked read or write fails or ends at once."""
        self.is_over = True
        if self._wire is not None:
            with contextlib.suppress(OSError):
                # The plain method: SSLSocket's own would take the TLS state away under the reader.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


def current() -> Attempt | None:
    """Return the calling thread's attempt, if it is making a call."""
    found: Attempt | None = getattr(_local, "attempt", None)
    return found


class Watchdog:
    """Calls functions at their time, all in one thread, which starts with the first of them."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def schedule(self, wait_s: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call ``act`` in ``wait_s`` seconds; returns what cancels it."""
        with self._condition:
            number = next(self._numbers)
            heapq.heappush(self._due, (time.monotonic() + wait_s, number, act))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="darkroom-call-deadlines", daemon=True)
                self._thread.start()
            if self._due[0][1] == number:
                self._condition.notify()
        return lambda: self._cancelled.add(number)

    def _run(self) -> None:
        while True:
            self._next()()

    def _next(self) -> Callable[[], None]:
        """Wait for the next function whose time has come."""
        with self._condition:
            while True:
                while self._due and self._due[0][1] in self._cancelled:
                    self._cancelled.discard(heapq.heappop(self._due)[1])
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._condition.wait(wait_s)


_watchdog = Watchdog()
