"""A reference on a slow uplink: it arrives as long as its bytes flow, within a deadline of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.provider.conftest import KEY, NOW
from tests.provider.scripted import answer
from worker.core.rules.errors import Unavailable
from worker.provider.client import Client, Timeouts
from worker.provider.wire import UploadedFile

UPLOADED = answer(b'{"id": "file_1", "url": "https://files.example/1"}')
SIZE = 12_000_000
"""More than the buffers of two sockets hold, so that sending it has to wait for the reader."""
CHUNK = 1 << 16


@contextmanager
def slow_server(*, bytes_per_s: int) -> Iterator[str]:
    """Yield the address of a server that reads one upload at this pace, and then answers it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
        thread = threading.Thread(target=_serve, args=(listener, threading.Event(), CHUNK / bytes_per_s), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _serve(listener: socket.socket, never: threading.Event, gap_s: float) -> None:
    connection, _ = listener.accept()
    left = SIZE
    with connection, suppress(OSError):
        while left > 0 and (chunk := connection.recv(CHUNK)):
            left -= len(chunk)
            never.wait(gap_s * len(chunk) / CHUNK)
        connection.sendall(UPLOADED)


def upload(url: str, *, send_s: float) -> UploadedFile:
    timeouts = Timeouts(connect_s=0.5, send_s=send_s, read_s=2, total_s=2)
    client = Client(base_url=url, api_key=KEY, now=lambda: NOW, timeouts=timeouts)
    return client.upload(
        content=bytes(SIZE), name="a.png", mime_type="image/png", model="qwen-image", client_request_id="g"
    )


def test_a_file_that_takes_longer_to_send_than_to_connect_arrives() -> None:
    with slow_server(bytes_per_s=10_000_000) as url:
        file = upload(url, send_s=10)

    assert file.id == "file_1"


def test_a_file_that_is_too_slow_is_given_up_at_its_deadline() -> None:
    began = time.monotonic()

    with slow_server(bytes_per_s=1_000_000) as url, pytest.raises(Unavailable, match="send_timeout"):
        upload(url, send_s=1)

    assert time.monotonic() - began < 3
