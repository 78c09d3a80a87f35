"""The API key is in the Authorization header and nowhere else that a person or a log could see it."""

import logging
import traceback
from traceback import TracebackException

import pytest

from tests.provider.conftest import KEY, NOW, ClientFor
from tests.provider.scripted import Ending, Step, answer, scripted_server
from worker.core.rules.errors import ProviderError
from worker.provider.client import Client
from worker.provider.session import BearerKey


def printed(error: BaseException) -> str:
    """All that can be printed about an error, without the frame of the test, which knows the key."""
    assert error.__traceback__ is not None
    frames = error.__traceback__.tb_next
    with_locals = TracebackException(type(error), error, frames, capture_locals=True)
    plain = "".join(traceback.format_exception(type(error), error, frames))
    return plain + "".join(with_locals.format(chain=True)) + repr(error) + repr(vars(error))


@pytest.mark.parametrize(
    "step",
    [
        Step(ending=Ending.RESET),
        Step(ending=Ending.HANG),
        Step(reply=answer(b"{", length=9)),
        Step(reply=answer(b"not json")),
        Step(reply=answer(b"", status="401 Unauthorized")),
        Step(reply=answer(f'{{"error":{{"code":"x","message":"bad {KEY}"}}}}'.encode(), status="400 Bad")),
        Step(reply=answer(f"<p>{KEY}</p>".encode(), status="500 Oh")),
    ],
)
def test_no_failure_shows_the_key_even_with_the_values_of_every_frame(client_for: ClientFor, step: Step) -> None:
    with scripted_server(step) as server, pytest.raises(ProviderError) as caught:
        client_for(server.url).create(body=b"{}", idempotency_key="k")

    shown = printed(caught.value)
    assert "client.py" in shown
    assert KEY not in shown


def test_a_failure_has_no_chained_error_that_holds_the_request(client_for: ClientFor) -> None:
    with scripted_server(Step(ending=Ending.RESET)) as server, pytest.raises(ProviderError) as caught:
        client_for(server.url).create(body=b"{}", idempotency_key="k")

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_the_logs_of_a_call_do_not_show_the_key(client_for: ClientFor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_server(Step(reply=answer(b'{"current_credits":1}'))) as server:
        client_for(server.url).credits()

    assert "/api/v1/credits" in caplog.text
    assert KEY not in caplog.text


def test_neither_the_client_nor_its_key_shows_the_key(client_for: ClientFor) -> None:
    client = client_for("https://rivya.example")

    assert KEY not in repr(client) + str(client) + repr(vars(client)) + repr(BearerKey(KEY))


@pytest.mark.parametrize("key", ["", " ", f"{KEY}\n", f"{KEY} x", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="check RIVYA_API_KEY") as caught:
        Client(base_url="https://rivya.example", api_key=key, now=lambda: NOW)

    assert KEY not in printed(caught.value)


def test_a_wrong_base_url_does_not_show_the_key_or_a_password() -> None:
    with pytest.raises(ValueError, match="RIVYA_BASE_URL") as caught:
        Client(base_url="https://user:hunter2@rivya.example", api_key=KEY, now=lambda: NOW)

    assert KEY not in printed(caught.value)
    assert "hunter2" not in str(caught.value)
