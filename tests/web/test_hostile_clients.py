"""Clients that are slow, silent or huge hold up nobody."""

import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests.web.serving import Web, serving
from worker.web import server
from worker.web.context import WebContext


def connection(web: Web) -> socket.socket:
    parts = urlsplit(web.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_client_that_does_not_end_its_headers_is_cut_off(
    said: bytes, context: WebContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADERS_WITHIN_S", 0.2)
    with serving(context) as web, connection(web) as slow:
        slow.sendall(said)

        assert slow.recv(1) == b""


def test_a_client_that_is_served_within_the_deadline_may_go_on_asking(
    context: WebContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(context) as web, requests.Session() as browser:
        answers = [browser.get(f"{web.url}/healthz", timeout=10).status_code for _ in range(3)]

    assert answers == [200] * 3


def test_headers_without_an_end_are_refused(web: Web) -> None:
    with connection(web) as huge:
        huge.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (server.HEADER_BYTES + 1))
        answer = huge.recv(100)

    assert answer.startswith(b"HTTP/1.1 400")


def test_hundreds_of_silent_connections_hold_up_nobody(web: Web) -> None:
    silent = [connection(web) for _ in range(300)]
    try:
        assert requests.get(f"{web.url}/healthz", timeout=10).status_code == 200
    finally:
        for each in silent:
            each.close()
