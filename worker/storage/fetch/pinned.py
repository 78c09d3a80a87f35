"""A connection that goes to the addresses that were checked, and that is cut when its time is up."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self


class PinnedConnection(http.client.HTTPConnection):
    """HTTP to ``host`` at one of ``addresses``: no second look-up. With a tunnel, ``host`` is the proxy."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        addresses: tuple[str, ...],
        tls: ssl.SSLContext | None,
        connect_s: float,
        read_s: float,
    ) -> None:
        """Connect with the first request."""
        if tls is not None:
            # The Host header leaves out the scheme's own port.
            self.default_port = http.client.HTTPS_PORT
        super().__init__(host, port, timeout=connect_s)
        self._addresses = addresses
        self._tls = tls
        self._connect_s = connect_s
        self._read_s = read_s
        # http.client forgets its socket as soon as a response is the last one on it; cut() must not.
        self._wire: socket.socket | None = None
        self._is_cut = False
        self._end_host: str | None = None

    def set_tunnel(self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Ask the proxy to pass bytes on to this host; the certificate must be that host's."""
        super().set_tunnel(host, port, headers)
        self._end_host = host

    def connect(self) -> None:
        """Connect to the first address that answers; the certificate must be the host's own."""
        self._wire = self.sock = self._first_connected()
        self.sock.settimeout(self._read_s)
        name = self.host
        if self._end_host is not None:
            self._tunnel()  # type: ignore[attr-defined]  # http.client's own, which a subclass has to call
            name = self._end_host
        if self._tls is not None:
            self._wire = self.sock = self._tls.wrap_socket(self.sock, server_hostname=name)
        if self._is_cut:
            raise TimeoutError("the deadline passed before the connection was established")
        self.sock.settimeout(self._read_s)

    def cut(self) -> None:
        """End the exchange from another thread: whoever reads gets an error or the end at once."""
        self._is_cut = True
        if self._wire is not None:
            with contextlib.suppress(OSError):
                # The plain method: SSLSocket's own would take the TLS state away under the reader.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)

    def _first_connected(self) -> socket.socket:
        """Try one address after the other; all of them share the time for connecting."""
        ends_at = time.monotonic() + self._connect_s
        refusal: OSError = OSError("no address to connect to")
        for address in self._addresses:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                break
            try:
                return socket.create_connection((address, self.port), timeout=left_s)
            except OSError as error:
                refusal = error
        raise refusal


class Deadline:
    """A limit on a whole exchange, however slowly its bytes drip: when time is up the connection is cut."""

    def __init__(self, connection: PinnedConnection, *, total_s: float) -> None:
        """Start counting with ``with``."""
        self.is_over = False
        self._connection = connection
        self._timer = threading.Timer(total_s, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        self._connection.cut()
