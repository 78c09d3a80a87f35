from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rules import retry
from worker.core.rules.retry import Backoff, ReplayPolicy
from worker.core.rules.states import HTTP_CONNECT, HTTP_READ, HTTP_SEND, HTTP_TOTAL, LEASES, StepKind
from worker.engine.rules.polling import OVERDUE_AFTER, PollSchedule

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOCUMENTED = PollSchedule(first=timedelta(seconds=2.5), gap=timedelta(seconds=5))
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("backoff", [retry.CALL, retry.COLLECT, retry.PROBE])
@given(attempts=st.integers(1, 10**6), jitter=st.floats(0, 1))
def test_a_wait_is_never_longer_than_the_longest_nor_shorter_than_half_the_first(
    backoff: Backoff, attempts: int, jitter: float
) -> None:
    assert backoff.first / 2 <= backoff.wait(attempts, jitter) <= backoff.most


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (7, 64), (8, 120), (100, 120)])
def test_waits_double_up_to_the_longest(attempts: int, seconds: int) -> None:
    assert retry.CALL.wait(attempts, 1.0) == timedelta(seconds=seconds)


def test_the_first_poll_comes_when_the_provider_says() -> None:
    assert DOCUMENTED.wait(age=timedelta(0), polls=0) == timedelta(seconds=2.5)


@given(polls=st.integers(1, 10**6), age_s=st.floats(0, OVERDUE_AFTER.total_seconds() - 1))
def test_later_polls_keep_to_the_documented_pace(polls: int, age_s: float) -> None:
    wait = DOCUMENTED.wait(age=timedelta(seconds=age_s), polls=polls)

    assert 5 * SECOND <= wait <= 10 * SECOND


@given(polls=st.integers(1, 10**6))
def test_a_generation_that_is_overdue_is_asked_about_once_a_minute(polls: int) -> None:
    assert DOCUMENTED.wait(age=OVERDUE_AFTER, polls=polls) == 60 * SECOND


@pytest.mark.parametrize(("age_s", "is_open"), [(0, True), (3554, True), (3555, False), (3600, False)])
def test_a_replay_must_arrive_within_the_window(age_s: int, is_open: bool) -> None:  # noqa: FBT001
    policy = ReplayPolicy(window=timedelta(hours=1))

    found = policy.is_open(first_sent_at=NOW, now=NOW + age_s * SECOND, call=45 * SECOND)

    assert found is is_open


@pytest.mark.parametrize("kind", list(StepKind))
def test_a_lease_outlives_the_slowest_call_inside_it(kind: StepKind) -> None:
    """Else a second worker sends the same request while the first still waits for its answer."""
    assert LEASES[kind] > HTTP_TOTAL


def test_an_uploads_lease_outlives_the_slowest_sending() -> None:
    assert LEASES[StepKind.UPLOAD] > HTTP_CONNECT + HTTP_SEND + HTTP_READ + HTTP_TOTAL


def test_a_reference_of_ten_megabytes_may_be_sent_at_a_quarter_of_a_megabyte_a_second() -> None:
    assert HTTP_SEND * 250_000 >= 10_000_000 * SECOND


@pytest.mark.parametrize(("waited_s", "wait_s"), [(0, 4), (10, 4), (60, 15), (960, 240), (10**6, 240)])
def test_the_wait_for_a_store_grows_with_the_time_that_was_waited(waited_s: int, wait_s: int) -> None:
    assert retry.STORE.wait(timedelta(seconds=waited_s), 1.0) == timedelta(seconds=wait_s)
    assert retry.STORE.wait(timedelta(seconds=waited_s), 0.0) == timedelta(seconds=wait_s / 2)


@pytest.mark.parametrize(
    ("waited", "tries", "is_lost", "is_over"),
    [
        (timedelta(days=3), 1, True, False),
        (timedelta(days=3), 6, True, True),
        (timedelta(minutes=29), 60, True, False),
        (timedelta(days=3), 29, False, False),
        (timedelta(days=3), 30, False, True),
        (timedelta(hours=23), 300, False, False),
    ],
)
def test_a_paid_image_is_given_up_only_after_time_and_tries(
    waited: timedelta,
    tries: int,
    is_lost: bool,  # noqa: FBT001
    is_over: bool,  # noqa: FBT001
) -> None:
    """The time in which the store was away counts no try."""
    assert retry.DOWNLOAD_LIMITS.is_over(waited=waited, tries=tries, is_lost=is_lost) is is_over
