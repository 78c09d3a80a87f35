"""A server on a real socket that does to each connection exactly what a script says, faults included."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto


class Ending(Enum):
    """What happens to the connection after a reply."""

    KEEP = auto()
    """It stays open for the next request."""
    CLOSE = auto()
    """It is closed in good order."""
    RESET = auto()
    """It is torn down with a reset."""
    HANG = auto()
    """It stays open and silent."""
    DRIP = auto()
    """It sends one more byte again and again, for ever."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One reply to one request."""

    reply: bytes = b""
    ending: Ending = Ending.CLOSE


@dataclass(kw_only=True)
class ScriptedServer:
    """What a test sees of the server."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def scripted_server(*steps: Step, certificate: str | None = None) -> Iterator[ScriptedServer]:
    """A server whose every connection follows ``steps``, over TLS when there is a certificate."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ScriptedServer(port=listener.getsockname()[1])
        tls = _tls(certificate) if certificate else None
        thread = threading.Thread(target=_accept, args=(listener, server, steps, stopped, tls), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stopped.set()
            # Closing a listener does not wake its accept(); one more connection does.
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            thread.join(timeout=2)


def answer(body: bytes, *, status: str = "200 OK", length: int | None = None, headers: str = "") -> bytes:
    """An HTTP reply; ``length`` may lie about the body."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def _tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _accept(
    listener: socket.socket,
    server: ScriptedServer,
    steps: tuple[Step, ...],
    stopped: threading.Event,
    tls: ssl.SSLContext | None,
) -> None:
    while True:
        connection, _ = listener.accept()
        if stopped.is_set():
            connection.close()
            return
        server.connections += 1
        threading.Thread(target=_follow, args=(connection, server, steps, stopped, tls), daemon=True).start()


def _follow(
    connection: socket.socket,
    server: ScriptedServer,
    steps: tuple[Step, ...],
    stopped: threading.Event,
    tls: ssl.SSLContext | None,
) -> None:
    try:
        with tls.wrap_socket(connection, server_side=True) if tls else connection as wire:
            for step in steps:
                request = _request(wire)
                if not request:
                    return
                server.requests.append(request)
                wire.sendall(step.reply)
                _end(wire, step.ending, stopped)
    except OSError:
        return


def _request(wire: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = wire.recv(65536)
        if not chunk:
            return b""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    wanted = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < wanted:
        body += wire.recv(65536)
    return head + b"\r\n\r\n" + body


def _end(wire: socket.socket, ending: Ending, stopped: threading.Event) -> None:
    if ending is Ending.RESET:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    if ending is Ending.CLOSE:
        wire.shutdown(socket.SHUT_RDWR)
    if ending is Ending.HANG:
        stopped.wait()
    while ending is Ending.DRIP and not stopped.wait(0.02):
        wire.sendall(b"x")
