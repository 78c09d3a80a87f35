"""A call without a whole answer: a create has an unknown outcome unless nothing was sent."""

import socket
from pathlib import Path

import pytest

from tests.provider.conftest import ClientFor
from tests.provider.scripted import Ending, Step, answer, scripted_server
from worker.core.rules.errors import OutcomeUnknown, Unavailable

CREATED = b'{"id":"task_1","status":"queued"}'
CERTIFICATE = str(Path(__file__).parents[1] / "storage" / "certificate_of_images_example.pem")

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

LOST = [
    pytest.param(Step(ending=Ending.CLOSE), "connection_lost", id="closed-unanswered"),
    pytest.param(Step(ending=Ending.RESET), "connection_lost", id="reset-unanswered"),
    pytest.param(Step(ending=Ending.HANG), "read_timeout", id="never-answered"),
    pytest.param(Step(reply=b"HTTP/1.1 20", ending=Ending.HANG), "read_timeout", id="hangs-in-status"),
    pytest.param(Step(reply=answer(CREATED, length=99)), "connection_lost", id="truncated"),
    pytest.param(Step(reply=answer(CREATED, length=99), ending=Ending.RESET), "connection_lost", id="reset-in-body"),
    pytest.param(Step(reply=answer(CREATED, length=99), ending=Ending.HANG), "read_timeout", id="hangs-in-body"),
    pytest.param(Step(reply=answer(CREATED, length=9999), ending=Ending.DRIP), "read_timeout", id="drips-for-ever"),
    pytest.param(Step(reply=CHUNKED + b"5\r\n{}"), "connection_lost", id="truncated-chunk"),
    pytest.param(Step(reply=CHUNKED + b"zz\r\n{}\r\n"), "connection_lost", id="broken-chunk"),
    pytest.param(Step(reply=b"220 mail.example ESMTP\r\n\r\n"), "connection_lost", id="not-http"),
    pytest.param(
        Step(reply=answer(b"\x1f\x8bnot gzip", headers="Content-Encoding: gzip\r\n")),
        "connection_lost",
        id="broken-compression",
    ),
]


@pytest.mark.parametrize(("step", "code"), LOST)
def test_a_create_whose_answer_is_lost_has_an_unknown_outcome(client_for: ClientFor, step: Step, code: str) -> None:
    with scripted_server(step) as server, pytest.raises(OutcomeUnknown) as caught:
        client_for(server.url).create(body=b"{}", idempotency_key="k")

    assert caught.value.code == code


@pytest.mark.parametrize(("step", "code"), LOST)
def test_a_get_whose_answer_is_lost_may_be_made_again(client_for: ClientFor, step: Step, code: str) -> None:
    with scripted_server(step) as server, pytest.raises(Unavailable) as caught:
        client_for(server.url).get("task_1")

    assert caught.value.code == code


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
def test_a_create_is_sent_once_even_when_a_kept_connection_dies(client_for: ClientFor, ending: Ending) -> None:
    first = Step(reply=answer(b'{"current_credits":1}'), ending=Ending.KEEP)
    with scripted_server(first, Step(ending=ending)) as server:
        client = client_for(server.url)
        client.credits()

        with pytest.raises(OutcomeUnknown):
            client.create(body=b"{}", idempotency_key="k")

        assert [request.split(b" ")[0] for request in server.requests] == [b"GET", b"POST"]


def test_a_create_after_a_connection_that_was_closed_in_time_uses_a_new_one(client_for: ClientFor) -> None:
    with scripted_server(Step(reply=answer(CREATED), ending=Ending.CLOSE)) as server:
        client = client_for(server.url)
        client.create(body=b"{}", idempotency_key="k1")
        client.close()

        view = client.create(body=b"{}", idempotency_key="k2")

        assert (view.id, server.connections) == ("task_1", 2)


def test_a_create_to_a_closed_port_was_certainly_not_sent(client_for: ClientFor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Unavailable) as caught:
        client_for(f"http://127.0.0.1:{port}").create(body=b"{}", idempotency_key="k")

    assert caught.value.code == "connect_failed"


def test_a_create_to_a_host_whose_certificate_is_not_trusted_was_certainly_not_sent(
    client_for: ClientFor,
) -> None:
    with scripted_server(Step(reply=answer(CREATED)), certificate=CERTIFICATE) as server:
        client = client_for(f"https://127.0.0.1:{server.port}")

        with pytest.raises(Unavailable) as caught:
            client.create(body=b"{}", idempotency_key="k")

        assert (caught.value.code, server.requests) == ("certificate_refused", [])
