"""One deadline over a whole call, and nothing was sent until the connection was up."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.provider.conftest import KEY, NOW
from tests.provider.scripted import Ending, Step, answer, scripted_server
from worker.core.rules.errors import OutcomeUnknown, ProviderError, Unavailable
from worker.provider.client import Client, Timeouts

Serve = Callable[[socket.socket], None]
TOTAL_S = 1.0
AMPLE_S = 20.0
"""Far longer than a call may take, and far shorter than what the servers here would make of it."""


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Do the same to every connection, and give the port."""
    is_over = threading.Event()

    def accept(listener: socket.socket) -> None:
        while not is_over.is_set():
            wire, _ = listener.accept()
            threading.Thread(target=_follow, args=(serve, wire), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        is_over.set()
        socket.create_connection(listener.getsockname(), timeout=1).close()


def _follow(serve: Serve, wire: socket.socket) -> None:
    with wire:
        try:
            serve(wire)
        except OSError:
            return


def dripping(head: bytes, drop: bytes) -> Serve:
    """Read the request, send the head, and then one drop after the other, for ever."""

    def serve(wire: socket.socket) -> None:
        wire.recv(65536)
        wire.sendall(head)
        while True:
            wire.sendall(drop)
            time.sleep(0.05)

    return serve


def silent(wire: socket.socket) -> None:
    """Take the connection, and say nothing."""
    while wire.recv(65536):
        pass


def client(port: int, scheme: str = "http") -> Client:
    timeouts = Timeouts(connect_s=TOTAL_S, read_s=TOTAL_S, total_s=TOTAL_S)
    return Client(base_url=f"{scheme}://127.0.0.1:{port}", api_key=KEY, now=lambda: NOW, timeouts=timeouts)


def failure(port: int, scheme: str = "http") -> tuple[ProviderError, float]:
    """Return the error of a create, and how long it took."""
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        client(port, scheme).create(body=b"{}", idempotency_key="k")
    return caught.value, time.monotonic() - began


DRIPS = [
    pytest.param(dripping(b"", b"H"), id="in-the-status-line"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"), id="header-after-header"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"), id="in-one-header"),
    pytest.param(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim-answers"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"), id="in-the-body"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), id="in-a-body-without-a-length"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="in-chunks"),
]


@pytest.mark.parametrize("serve", DRIPS)
def test_an_answer_that_drips_ends_at_the_deadline_with_an_unknown_outcome(serve: Serve) -> None:
    with server(serve) as port:
        error, took_s = failure(port)

    assert isinstance(error, OutcomeUnknown)
    assert took_s < AMPLE_S


HANDSHAKES = [
    pytest.param(lambda wire: wire.close(), id="closed"),
    pytest.param(lambda wire: wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="plain-http"),
    pytest.param(lambda wire: wire.sendall(b"\x15\x03\x03\x00\x02\x02\x28"), id="alert"),
    pytest.param(lambda wire: wire.sendall(b"\x16\x02\x00\x00\x02\x00\x00"), id="old-protocol"),
    pytest.param(silent, id="silence"),
    pytest.param(dripping(b"", b"\x16"), id="drip"),
]


@pytest.mark.parametrize("serve", HANDSHAKES)
def test_whatever_happens_in_the_tls_handshake_nothing_was_sent(serve: Serve) -> None:
    with server(serve) as port:
        error, took_s = failure(port, "https")

    assert isinstance(error, Unavailable)
    assert took_s < AMPLE_S


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(lambda wire: wire.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), id="refused"),
        pytest.param(lambda wire: wire.close(), id="closed"),
        pytest.param(silent, id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"), id="drip"),
    ],
)
def test_whatever_a_proxy_does_to_the_tunnel_nothing_was_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        timeouts = Timeouts(connect_s=TOTAL_S, read_s=TOTAL_S, total_s=TOTAL_S)
        through = Client(base_url="https://rivya.example", api_key=KEY, now=lambda: NOW, timeouts=timeouts)

        with pytest.raises(Unavailable):
            through.create(body=b"{}", idempotency_key="k")


def test_a_name_whose_look_up_hangs_ends_inside_the_time_for_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: is_over.wait(AMPLE_S))
    began = time.monotonic()

    with pytest.raises(Unavailable) as caught:
        client(9).create(body=b"{}", idempotency_key="k")
    is_over.set()

    assert caught.value.code == "connect_timeout"
    assert time.monotonic() - began < AMPLE_S


def test_a_peer_that_does_not_read_ends_an_upload_at_the_deadline() -> None:
    def serve(wire: socket.socket) -> None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        threading.Event().wait(AMPLE_S)

    timeouts = Timeouts(connect_s=TOTAL_S, send_s=TOTAL_S, read_s=AMPLE_S, total_s=TOTAL_S)
    with server(serve) as port:
        slow = Client(base_url=f"http://127.0.0.1:{port}", api_key=KEY, now=lambda: NOW, timeouts=timeouts)
        began = time.monotonic()

        with pytest.raises(Unavailable):
            slow.upload(
                content=b"x" * 50_000_000, name="a.png", mime_type="image/png", model="m", client_request_id="1"
            )

    assert time.monotonic() - began < AMPLE_S


def test_a_connection_that_has_rested_is_not_used_for_another_create(monkeypatch: pytest.MonkeyPatch) -> None:
    created = Step(reply=answer(b'{"id":"task_1","status":"queued","reserved_credits":4}'), ending=Ending.KEEP)
    with scripted_server(created, created, created) as scripted:
        kept = client(scripted.port)
        kept.create(body=b"{}", idempotency_key="k1")
        kept.create(body=b"{}", idempotency_key="k2")
        before = scripted.connections
        monkeypatch.setattr("worker.core.http.RESTED_S", 0.0)

        kept.create(body=b"{}", idempotency_key="k3")

        assert (before, scripted.connections) == (1, 2)
