"""Whatever JSON an answer holds, only a value or a ProviderError comes of it, and no create with an id is lost."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from tests.provider.conftest import KEY, NOW
from worker.core.rules.errors import ProviderError
from worker.provider.client import Client, Timeouts

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "id", "status", "model", "reserved_credits", "final_credits", "created_at", "updated_at", "result", "error",
    "current_credits", "data", "object", "url",
)  # fmt: skip
ANSWERS = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=len(FIELDS))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[HTTPServer, Client]]:
    with HTTPServer() as server:
        timeouts = Timeouts(connect_s=5, read_s=5, total_s=10)
        yield server, Client(base_url=server.url_for(""), api_key=KEY, now=lambda: NOW, timeouts=timeouts)


@settings(max_examples=150, deadline=None)
@given(answer=ANSWERS, status=st.sampled_from([200, 201, 202, 400, 402, 404, 409, 429, 500]))
def test_every_answer_is_read_or_is_a_providers_error(
    served: tuple[HTTPServer, Client], answer: dict[str, object], status: int
) -> None:
    server, client = served
    server.clear()
    server.expect_request("/api/v1/generations", method="POST").respond_with_data(json.dumps(answer), status=status)
    server.expect_request("/api/v1/generations/task_1").respond_with_data(json.dumps(answer), status=status)
    server.expect_request("/api/v1/files").respond_with_data(json.dumps(answer), status=status)
    server.expect_request("/api/v1/credits").respond_with_data(json.dumps(answer), status=status)
    server.expect_request("/api/v1/models").respond_with_data(json.dumps(answer), status=status)

    with suppress(ProviderError):
        client.create(body=b"{}", idempotency_key="k")
    with suppress(ProviderError):
        client.get("task_1")
    with suppress(ProviderError):
        client.upload(content=b"x", name="a.png", mime_type="image/png", model="m", client_request_id="1")
    with suppress(ProviderError):
        client.credits()
    with suppress(ProviderError):
        client.models()


@settings(max_examples=100, deadline=None)
@given(answer=ANSWERS)
def test_a_create_with_a_usable_id_is_never_lost(served: tuple[HTTPServer, Client], answer: dict[str, object]) -> None:
    server, client = served
    server.clear()
    server.expect_request("/api/v1/generations", method="POST").respond_with_data(
        json.dumps(answer | {"id": "task_7"}), status=200
    )

    assert client.create(body=b"{}", idempotency_key="k").id == "task_7"
