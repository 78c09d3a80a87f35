import json
import threading
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.provider.conftest import KEY, ClientFor
from tests.provider.scripted import Ending, Step, answer, scripted_server
from worker.core.rules.errors import (
    AccountPaused,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    Refused,
    Throttled,
    Unavailable,
)
from worker.provider.client import MAX_ANSWER_BYTES, Client
from worker.provider.wire import GenerationStatus, UploadedFile

CREATED: dict[str, Any] = {"id": "task_1", "status": "queued", "model": "qwen-image", "reserved_credits": 4}
BODY = '{"model":"qwen-image","prompt":"茶碗"}'.encode()
GENERATIONS = "/api/v1/generations"


def test_a_create_sends_exactly_the_bytes_and_the_key_it_was_given(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(GENERATIONS, method="POST").respond_with_json(CREATED)

    client.create(body=BODY, idempotency_key="key-1")

    request: Request = httpserver.log[0][0]
    sent = {name: request.headers.get(name) for name in ("Idempotency-Key", "Content-Type", "Authorization")}
    assert request.data == BODY
    assert sent == {
        "Idempotency-Key": "key-1",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {KEY}",
    }


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_create_is_accepted_with_any_success(httpserver: HTTPServer, client: Client, status: int) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_json(CREATED, status=status, headers={"X-Request-Id": "req_9"})

    view = client.create(body=BODY, idempotency_key="k")

    assert (view.id, view.reserved_credits, view.http_status, view.request_id) == (
        "task_1",
        4,
        status,
        "req_9",
    )


@pytest.mark.parametrize(
    "content",
    [
        b'{"id":"task_1"}',
        b'{"id":"task_1","status":7,"reserved_credits":[],"result":"none","error":[]}',
        b'{"id":"task_1","status":"queued","reserved_credits":"four"}',
        b'{"id":"task_1","status":"queued","reserved_credits":' + b"9" * 10_000 + b"}",
    ],
)
def test_a_create_whose_answer_has_a_usable_id_was_carried_out(
    httpserver: HTTPServer, client: Client, content: bytes
) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_data(content)

    assert client.create(body=BODY, idempotency_key="k").id == "task_1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>welcome</html>",
        b"[]",
        b'{"status":"queued"}',
        b'{"id":5,"status":"queued","error":{"code":"validation_failed"}}',
    ],
)
def test_a_create_with_an_unusable_answer_has_an_unknown_outcome(
    httpserver: HTTPServer, client: Client, content: bytes
) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_data(content)

    with pytest.raises(OutcomeUnknown) as caught:
        client.create(body=BODY, idempotency_key="k")

    assert (caught.value.code, caught.value.status) == ("malformed", 200)


def test_an_error_without_an_id_counts_even_behind_a_success_status(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_json({"error": {"code": "insufficient_credits"}})

    with pytest.raises(AccountPaused) as caught:
        client.create(body=BODY, idempotency_key="k")

    assert caught.value.reason is PauseReason.INSUFFICIENT_CREDITS


def test_a_refusal_keeps_the_words_and_the_request_id(httpserver: HTTPServer, client: Client) -> None:
    error = {"code": "validation_failed", "message": "prompt too long", "requestId": "req_1"}
    httpserver.expect_request(GENERATIONS).respond_with_json({"error": error}, status=400)

    with pytest.raises(Refused, match=r"validation_failed \(HTTP 400\): prompt too long \[req_1\]"):
        client.create(body=BODY, idempotency_key="k")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("Retry-After: Sun, 22 Nov 2026 12:00:09 GMT\r\n", id="by our clock"),
        pytest.param(
            "Date: Sun, 22 Nov 2026 13:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 13:00:09 GMT\r\n",
            id="by the clock that the answer names",
        ),
    ],
)
def test_a_throttled_call_tells_how_long_to_wait(headers: str, client_for: ClientFor) -> None:
    throttled = answer(b"slow", status="429 Too Many Requests", headers=headers)

    with scripted_server(Step(reply=throttled)) as server, pytest.raises(Throttled) as caught:
        client_for(server.url).create(body=BODY, idempotency_key="k")

    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 9


def test_a_get_shows_the_generation_as_it_stands(httpserver: HTTPServer, client: Client) -> None:
    done = CREATED | {
        "status": "succeeded",
        "final_credits": 4,
        "result": {"primary_url": "https://cdn.example/1"},
    }
    httpserver.expect_request(f"{GENERATIONS}/task_1").respond_with_json(done)

    view = client.get("task_1")

    assert (view.status, view.final_credits) == (GenerationStatus.SUCCEEDED, 4)
    assert view.result_urls == ("https://cdn.example/1",)


def test_a_get_that_answers_about_another_generation_is_malformed(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(f"{GENERATIONS}/task_2").respond_with_json(CREATED)

    with pytest.raises(Unavailable, match="malformed"):
        client.get("task_2")


def test_an_id_with_a_slash_stays_one_part_of_the_path(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(f"{GENERATIONS}/a/b?c").respond_with_json(CREATED | {"id": "a/b?c"})

    client.get("a/b?c")

    assert httpserver.log[0][0].environ["RAW_URI"].endswith("/generations/a%2Fb%3Fc")


@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"id":"task_1"}', b'{"id":"task_1","status":4}'])
def test_a_get_with_an_unusable_answer_may_be_made_again(
    httpserver: HTTPServer, client: Client, content: bytes
) -> None:
    httpserver.expect_request(f"{GENERATIONS}/task_1").respond_with_data(content)

    with pytest.raises(Unavailable, match="malformed"):
        client.get("task_1")


def test_a_get_of_an_unknown_generation_is_not_found(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(f"{GENERATIONS}/task_1").respond_with_json(
        {"error": {"code": "not_found", "message": "No such task."}}, status=404
    )

    with pytest.raises(NotFound):
        client.get("task_1")


def test_an_upload_sends_the_image_with_its_kind_and_model(httpserver: HTTPServer, client: Client) -> None:
    parts: list[tuple[dict[str, str], str | None, str | None, bytes]] = []

    def receive(request: Request) -> Response:
        file = request.files["file"]
        parts.append((request.form.to_dict(), file.filename, file.mimetype, file.read()))
        return Response(json.dumps({"id": "file_1", "url": "https://cdn.example/f"}), status=201)

    httpserver.expect_request("/api/v1/files", method="POST").respond_with_handler(receive)

    uploaded = client.upload(
        content=b"\x89PNG", name="茶碗.png", mime_type="image/png", model="qwen-image", client_request_id="j"
    )

    form = {"kind": "image", "model": "qwen-image", "client_request_id": "j"}
    assert uploaded == UploadedFile(id="file_1", url="https://cdn.example/f")
    assert parts == [(form, "茶碗.png", "image/png", b"\x89PNG")]


def test_credits_are_the_balance_of_the_wallet(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request("/api/v1/credits").respond_with_json({"current_credits": 123})

    assert client.credits() == 123


def test_models_are_listed_with_their_price(httpserver: HTTPServer, client: Client) -> None:
    listed = {"object": "list", "data": [{"id": "qwen-image", "base_credits": 4}]}
    httpserver.expect_request("/api/v1/models").respond_with_json(listed)

    assert [(model.id, model.base_credits) for model in client.models()] == [("qwen-image", 4)]


def test_a_redirect_is_never_followed(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_data("", status=307, headers={"Location": "/elsewhere"})

    with pytest.raises(OutcomeUnknown, match=r"http_307.*check RIVYA_BASE_URL"):
        client.create(body=BODY, idempotency_key="k")

    assert [request.path for request, _ in httpserver.log] == [GENERATIONS]


@pytest.mark.parametrize("location", ["http://[", "gopher://x", "http://b\xfccher\x80", ""])
def test_a_redirect_to_nonsense_is_an_error_like_any_other(client_for: ClientFor, location: str) -> None:
    reply = answer(b"", status="302 Found", headers=f"Location: {location}\r\n")
    with scripted_server(Step(reply=reply)) as server, pytest.raises(Unavailable, match="http_302"):
        client_for(server.url).credits()


def test_an_answer_without_an_end_is_cut_off(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(GENERATIONS).respond_with_data(b" " * (MAX_ANSWER_BYTES + 1))

    with pytest.raises(OutcomeUnknown, match="longer than 1048576 bytes"):
        client.create(body=BODY, idempotency_key="k")


def test_calls_of_one_thread_share_a_connection(client_for: ClientFor) -> None:
    step = Step(reply=answer(b'{"current_credits":1}'), ending=Ending.KEEP)
    with scripted_server(step, step, step) as server:
        client = client_for(server.url)

        balances = (client.credits(), client.credits(), client.credits())

        assert (balances, server.connections) == ((1, 1, 1), 1)


def test_each_thread_has_a_connection_of_its_own(client_for: ClientFor) -> None:
    step = Step(reply=answer(b'{"current_credits":1}'), ending=Ending.KEEP)
    with scripted_server(step, step) as server:
        client = client_for(server.url)
        client.credits()
        other = threading.Thread(target=client.credits)
        other.start()
        other.join()

        assert server.connections == 2


def test_cookies_are_not_kept(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request("/api/v1/credits").respond_with_json(
        {"current_credits": 1}, headers={"Set-Cookie": "session=1; Path=/"}
    )
    client.credits()

    client.credits()

    assert "Cookie" not in httpserver.log[1][0].headers


def test_a_base_url_may_end_with_a_slash_or_with_the_path_of_the_api(
    httpserver: HTTPServer, client_for: ClientFor
) -> None:
    httpserver.expect_request("/api/v1/credits").respond_with_json({"current_credits": 1})

    assert client_for(httpserver.url_for("/api/v1/")).credits() == 1


def test_a_provider_on_this_machine_is_reached_past_any_proxy(
    httpserver: HTTPServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    httpserver.expect_request("/api/v1/credits").respond_with_json({"current_credits": 1})

    assert client.credits() == 1


def test_a_request_that_no_header_can_carry_was_certainly_not_sent(httpserver: HTTPServer, client: Client) -> None:
    with pytest.raises(Unavailable, match="unsendable"):
        client.create(body=b"{}", idempotency_key="two\nlines")

    assert httpserver.log == []


@pytest.mark.parametrize("base_url", ["", "rivya.ai", "ftp://rivya.ai", "https://", "https://a/?x=1", "https://u:p@a"])
def test_a_base_url_that_cannot_work_is_refused_with_its_setting(client_for: ClientFor, base_url: str) -> None:
    with pytest.raises(ValueError, match="check RIVYA_BASE_URL"):
        client_for(base_url)
