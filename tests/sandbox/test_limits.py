"""How many requests are too many, and how the 429 says so."""

import itertools
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from ops.sandbox.limits import FixedWindow, Limit, SlidingWindow, TokenBucket
from tests.sandbox.running import Sandbox

CREDITS = "/api/v1/credits"
HOUR = 3_600


@pytest.mark.parametrize(
    ("limit", "allowed_at"),
    [
        pytest.param(FixedWindow(2, 10), [5, 6, 10, 11], id="fixed window: anew at each tick"),
        pytest.param(SlidingWindow(2, 10), [5, 6, 15, 16], id="sliding window: anew after a window"),
        pytest.param(TokenBucket(2, 10), [5, 6, 10, 15], id="token bucket: one each half window"),
    ],
)
def test_a_limit_of_two_in_ten_seconds(limit: Limit, allowed_at: list[int]) -> None:
    seconds = itertools.chain([5, 6], range(7, 18))

    allowed = [at for at in seconds if limit.take(float(at)).wait_s is None]

    assert allowed == allowed_at


@pytest.mark.parametrize(
    ("limit", "wait_s"),
    [(FixedWindow(1, 10), 4.0), (SlidingWindow(1, 10), 9.0), (TokenBucket(1, 10), 9.0)],
)
def test_a_refusal_says_how_long_to_wait(limit: Limit, wait_s: float) -> None:
    limit.take(5.0)

    assert limit.take(6.0).wait_s == pytest.approx(wait_s)


@pytest.mark.parametrize("algorithm", ["fixed_window", "sliding_window", "token_bucket"])
def test_a_key_may_send_so_many_requests_in_a_window(sandbox: Sandbox, algorithm: str) -> None:
    sandbox.set(rate_limit=3, rate_window_s=24 * HOUR, rate_algorithm=algorithm, rate_headers=True)

    answers = [sandbox.get(CREDITS) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]


def test_another_key_has_a_window_of_its_own(sandbox: Sandbox) -> None:
    second = sandbox.post("/sandbox/keys", {})["api_key"]
    sandbox.set(rate_limit=1, rate_window_s=24 * HOUR)

    statuses = [sandbox.get(CREDITS, key=key).status_code for key in ("", "", second)]

    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(("per_endpoint", "status"), [(True, 200), (False, 429)])
def test_an_endpoint_may_have_a_window_of_its_own(sandbox: Sandbox, *, per_endpoint: bool, status: int) -> None:
    sandbox.set(rate_limit=1, rate_window_s=24 * HOUR, rate_per_endpoint=per_endpoint)
    sandbox.get(CREDITS)

    assert sandbox.create().status_code == status


def test_retry_after_as_seconds(sandbox: Sandbox) -> None:
    sandbox.set(rate_limit=1, rate_window_s=100, rate_algorithm="sliding_window", retry_after="seconds")
    sandbox.get(CREDITS)

    assert 99 <= int(sandbox.get(CREDITS).headers["Retry-After"]) <= 100


def test_retry_after_as_a_date(sandbox: Sandbox) -> None:
    sandbox.set(rate_limit=1, rate_window_s=100, rate_algorithm="sliding_window", retry_after="http_date")
    sandbox.get(CREDITS)

    at = parsedate_to_datetime(sandbox.get(CREDITS).headers["Retry-After"])

    assert 95 <= (at - datetime.now(UTC)).total_seconds() <= 102


def test_retry_after_may_be_absent(sandbox: Sandbox) -> None:
    sandbox.set(rate_limit=1, rate_window_s=100, rate_algorithm="sliding_window", retry_after="absent")
    sandbox.get(CREDITS)

    assert "Retry-After" not in sandbox.get(CREDITS).headers
