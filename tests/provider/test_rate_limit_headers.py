"""What a provider says of its limit can only slow Darkroom down, and nonsense in it is ignored."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from requests.structures import CaseInsensitiveDict

from worker.core.rules.errors import Throttled
from worker.provider.client import Client
from worker.provider.errors import wait_until_reset

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EPOCH_S = int(NOW.timestamp())
GENERATIONS = "/api/v1/generations"


def wait(headers: dict[str, str]) -> timedelta | None:
    return wait_until_reset(CaseInsensitiveDict(headers), now=lambda: NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": '"default";r=0;t=30'},
        {"RateLimit": '"burst";r=9;t=1, "daily";r=0;t=30'},
        {"RateLimit": "limit=100, remaining=0, reset=30"},
        {"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH_S + 30)},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{EPOCH_S + 30}000"},
        {"RateLimit": '"default";r=0', "RateLimit-Policy": '"default";q=100;w=30'},
    ],
)
def test_where_no_request_remains_the_reset_is_waited_for(headers: dict[str, str]) -> None:
    assert wait(headers) == timedelta(seconds=30)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit": '"default";r=1;t=30'},
        {"RateLimit": '"default";r=0'},
        {"RateLimit": '"default";r=0;t=-30'},
        {"RateLimit": '"default";r=0.5;t=30'},
        {"RateLimit": "0"},
        {"RateLimit-Policy": '"default";q=100;w=10'},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "30"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH_S - 30)},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 400},
        {"X-RateLimit-Remaining": "\u0660", "X-RateLimit-Reset": "30"},
    ],
)
def test_otherwise_nothing_is_waited_for(headers: dict[str, str]) -> None:
    assert wait(headers) is None


@given(
    st.dictionaries(
        st.sampled_from(["RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
        st.text(alphabet='0123456789rtqw=;," .-:ax', max_size=60),
    )
)
def test_no_header_trips_the_reader(headers: dict[str, str]) -> None:
    found = wait(headers)

    assert found is None or found > timedelta(0)


def test_a_429_without_retry_after_is_waited_out_until_the_reset(httpserver: HTTPServer, client: Client) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "8"}
    httpserver.expect_request(GENERATIONS).respond_with_json({}, status=429, headers=headers)

    with pytest.raises(Throttled) as caught:
        client.create(body=b"{}", idempotency_key="k")

    assert caught.value.retry_after == timedelta(seconds=8)


def test_a_reset_far_ahead_is_believed_for_a_quarter_of_an_hour(httpserver: HTTPServer, client: Client) -> None:
    created = {"id": "task_1", "status": "queued", "model": "qwen-image", "reserved_credits": 4}
    headers = {"RateLimit": '"default";r=0;t=999999'}
    httpserver.expect_request(GENERATIONS).respond_with_json(created, headers=headers)

    view = client.create(body=b"{}", idempotency_key="k")

    assert view.limit_resets_in == timedelta(minutes=15)
