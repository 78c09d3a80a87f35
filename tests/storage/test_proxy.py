"""A download takes the proxy that it is told of, to hosts that only the proxy can reach."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.provider.scripted import Step, answer, scripted_server
from tests.storage.test_download import CERTIFICATE, HERE, HERE_OVER_TLS, LIMITS
from worker.storage.fetch import addresses
from worker.storage.fetch.addresses import Proxy
from worker.storage.fetch.download import AddressPolicy, FetchFailed, FetchProblem, fetch

PUBLIC = AddressPolicy(schemes=frozenset({"https", "http"}))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "download"


@contextmanager
def tunnel(to_port: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a proxy that passes one connection on to this port, and the heads of what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_pass_on, args=(listener, to_port, asked), daemon=True).start()
        yield listener.getsockname()[1], asked


def _pass_on(listener: socket.socket, to_port: int, asked: list[bytes]) -> None:
    near, _ = listener.accept()
    asked.append(near.recv(65536))
    near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    far = socket.create_connection(("127.0.0.1", to_port))
    threading.Thread(target=_pump, args=(far, near), daemon=True).start()
    _pump(near, far)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def test_a_plain_address_is_asked_for_by_the_proxy_itself(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as relay:
        by = Proxy(host="127.0.0.1", port=relay.port, authorization="Basic YTpi")
        fetch("http://images.example/a?b=1", into, limits=LIMITS, allow=PUBLIC, proxy_for=lambda _: by)

    assert relay.requests[0].startswith(b"GET http://images.example/a?b=1 HTTP/1.1\r\nHost: images.example\r\n")
    assert b"\r\nProxy-Authorization: Basic YTpi\r\n" in relay.requests[0]


def test_over_tls_the_proxy_sees_the_host_and_nothing_else(into: Path) -> None:
    with (
        scripted_server(Step(reply=answer(b"x")), certificate=CERTIFICATE) as server,
        tunnel(server.port) as (port, asked),
    ):
        by = Proxy(host="127.0.0.1", port=port, authorization="Basic YTpi")
        url = "https://images.example/a"
        fetch(url, into, limits=LIMITS, allow=PUBLIC, ca_file=CERTIFICATE, proxy_for=lambda _: by)

    assert asked[0].startswith(b"CONNECT images.example:443 HTTP/1.")
    assert server.requests[0].startswith(b"GET /a HTTP/1.1\r\nHost: images.example\r\n")
    assert b"Proxy-Authorization" not in server.requests[0]


def test_a_proxy_that_refuses_is_a_temporary_failure(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"", status="407 Proxy Authentication Required"))) as relay:
        by = Proxy(host="127.0.0.1", port=relay.port)
        with pytest.raises(FetchFailed, match="407") as caught:
            fetch("https://images.example/a", into, limits=LIMITS, allow=PUBLIC, proxy_for=lambda _: by)

    assert caught.value.kind is FetchProblem.TEMPORARY


@pytest.mark.parametrize("is_tunnelled", [False, True], ids=["handshake", "tunnel"])
def test_a_handshake_or_a_tunnel_that_is_never_answered_ends_with_the_deadline(
    into: Path,
    is_tunnelled: bool,  # noqa: FBT001 - what is silent
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        by = Proxy(host="127.0.0.1", port=silent.getsockname()[1])
        with pytest.raises(FetchFailed, match="took too long") as caught:
            fetch(
                f"https://images.example:{by.port}/a",
                into,
                limits=replace(LIMITS, total_s=0.3),
                allow=HERE_OVER_TLS,
                resolve=lambda _host, _port: ("127.0.0.1",),
                proxy_for=lambda _: by if is_tunnelled else None,
            )

    assert caught.value.kind is FetchProblem.TEMPORARY


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "localhost", "[::1]"])
def test_an_address_that_is_not_permitted_is_not_asked_of_a_proxy_either(host: str, into: Path) -> None:
    by = Proxy(host="127.0.0.1", port=9)

    with pytest.raises(FetchFailed) as caught:
        fetch(f"http://{host}/a", into, limits=LIMITS, allow=PUBLIC, proxy_for=lambda _: by)

    assert caught.value.kind is FetchProblem.REFUSED_ADDRESS


def test_without_a_proxy_the_host_is_reached_directly(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as server:
        fetch(server.url, into, limits=LIMITS, allow=HERE, proxy_for=addresses.direct)

    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy.example:3128"}, Proxy(host="proxy.example", port=3128)),
        ({"HTTPS_PROXY": "proxy.example:3128"}, Proxy(host="proxy.example", port=3128)),
        ({"https_proxy": "http://a:b@proxy.example"}, Proxy(host="proxy.example", port=80, authorization="Basic YTpi")),
        ({"https_proxy": "http://proxy.example:3128", "no_proxy": "images.example"}, None),
        ({"https_proxy": "socks5://proxy.example:1080"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], found: Proxy | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", environment)

    assert addresses.of_environment("https://images.example/a") == found
