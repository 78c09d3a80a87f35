"""Outgoing HTTP: requests with a total deadline, on connections that know whether a byte of one may have left.

Calls of the provider, downloads and hooks have this in common.
"""

import contextlib
import heapq
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from http.client import HTTPException
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

_local = threading.local()


class Attempt:
    """The state of one request, shared by its thread and the watchdog that ends it."""

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
        """Put this socket under the deadline; raises TimeoutError when it has passed already."""
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


FAILURES = (OSError, HTTPException, HTTPError, ValueError)
"""What a request on a connection raises when it fails."""
RESTED_S = 4.0
"""A connection that has rested longer is not used again: many servers close idle ones after 5 s, and a request that
meets the closing may or may not have been read."""
_resolvers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="darkroom-dns")
Addresses = list[tuple[Any, ...]]
if TYPE_CHECKING:
    _Base = HTTPConnection
else:
    _Base = object


class _Tracked(_Base):
    """What the plain and the TLS connection have in common; mixed in before urllib3's class."""

    pinned: tuple[str, ...] = ()
    """The only addresses to connect to, whatever the host is called; without any the name is looked up."""
    read_s: float | None = None
    """The longest wait for a byte once TCP is up, in a tunnel and TLS too; None: the pool sets it for each request."""
    _is_connecting = False
    _used_at = 0.0

    def connect(self) -> None:
        """Connect, with TLS and a proxy's tunnel; no part of the request is sent."""
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False
        if (now := current()) is not None and self.sock is not None:
            now.use(self.sock)

    def send(self, data: Any) -> None:
        """Send a part of the request, and note before that a byte of it may have left."""
        if self.sock is None and not self._is_connecting:
            self.connect()
        now = current()
        if now is not None and not self._is_connecting:
            assert self.sock is not None
            now.use(self.sock)
            now.has_begun = True
            self._used_at = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used again."""
        is_up: bool = super().is_connected
        return is_up and time.monotonic() - self._used_at < RESTED_S

    def _new_conn(self) -> socket.socket:
        """Look the name up and connect to one of its addresses, all inside the time for connecting."""
        now = current()
        budget_s = min(float(self.timeout or 5.0), now.remaining_s if now else 5.0)
        ends_at = time.monotonic() + budget_s
        refusal: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in self._addresses(budget_s):
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise ConnectTimeoutError(self, f"no connection to {self.host} within {budget_s:.0f} s")
            try:
                wire = self._connected(family, kind, protocol, address, left_s)
            except TimeoutError as error:
                raise ConnectTimeoutError(self, f"no connection to {self.host} within {budget_s:.0f} s") from error
            except OSError as error:
                refusal = error
                continue
            if self.read_s is not None:
                self.timeout = self.read_s
                wire.settimeout(self.read_s)
            if now is not None:
                now.use(wire)
            return wire
        raise NewConnectionError(self, f"Failed to establish a new connection: {refusal}") from refusal

    def _connected(self, family: int, kind: int, protocol: int, address: Any, left_s: float) -> socket.socket:
        wire = socket.socket(family, kind, protocol)
        try:
            for option in self.socket_options or ():
                wire.setsockopt(*option)
            wire.settimeout(left_s)
            wire.connect(address)
        except BaseException:
            wire.close()
            raise
        return wire

    def _addresses(self, budget_s: float) -> Addresses:
        """Return what is pinned, or look the name up in a thread of its own: the system's look-up has no deadline."""
        if self.pinned:
            return [found for address in self.pinned for found in _numeric(address, self.port)]
        found: Future[Addresses] = _resolvers.submit(
            socket.getaddrinfo, self._dns_host, self.port, 0, socket.SOCK_STREAM
        )
        try:
            return found.result(timeout=budget_s)
        except FutureTimeoutError as error:
            raise ConnectTimeoutError(self, f"no address of {self.host} within {budget_s:.0f} s") from error
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error


class PlainConnection(_Tracked, HTTPConnection):
    """HTTP, to a host or to a proxy."""


class TlsConnection(_Tracked, HTTPSConnection):
    """HTTPS, directly or through a proxy's tunnel."""


def _numeric(address: str, port: int) -> Addresses:
    return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


def cause_of(error: Exception) -> BaseException:
    """Return the system's own error where urllib3 has wrapped one."""
    return error.__cause__ or error
