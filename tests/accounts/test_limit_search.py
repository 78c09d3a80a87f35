"""A rate that is learned finds an undocumented limit, and stays just under it, however it is counted."""

from collections.abc import Callable

import pytest

from ops.sandbox.limits import FixedWindow, Limit, SlidingWindow, TokenBucket
from tests.accounts.limited import UNTIL_RESET, Run

COUNTED: dict[str, Callable[[int], Limit]] = {
    "in fixed seconds": lambda rate: FixedWindow(rate, 1.0),
    "in any second": lambda rate: SlidingWindow(rate, 1.0),
    "as a bucket": lambda rate: TokenBucket(rate, 1.0),
}


@pytest.mark.parametrize("rate", [5, 20, 100])
@pytest.mark.parametrize("retry_after_s", [None, 1.0, 5.0])
@pytest.mark.parametrize("counted", COUNTED)
def test_after_a_minute_nine_tenths_of_the_limit_are_used_and_429s_are_rare(
    counted: str, retry_after_s: float | None, rate: int
) -> None:
    limit = COUNTED[counted](rate)

    run = Run(limit_at=lambda _: limit, retry_after_s=retry_after_s).go_on(until_s=540)

    assert run.share(rate, 60, 540) >= 0.9
    assert run.refusals(60, 540) < 0.01


@pytest.mark.parametrize("rate", [5, 20, 100])
@pytest.mark.parametrize("retry_after_s", [None, 1.0, 5.0])
def test_a_limit_that_is_counted_over_ten_seconds_is_found_in_three_minutes(
    retry_after_s: float | None, rate: int
) -> None:
    """A 429 comes up to ten seconds after the rate that caused it."""
    limit = FixedWindow(10 * rate, 10.0)

    run = Run(limit_at=lambda _: limit, retry_after_s=retry_after_s).go_on(until_s=660)

    assert run.share(rate, 60, 660) >= 0.9
    assert run.refusals(180, 660) < 0.01


@pytest.mark.parametrize(("retry_after_s", "minutes"), [(1.0, 2), (None, 4), (5.0, 6)])
def test_a_limit_that_has_risen_is_found_within_minutes(retry_after_s: float | None, minutes: int) -> None:
    before, after = FixedWindow(20, 1.0), FixedWindow(40, 1.0)

    run = Run(limit_at=lambda s: before if s < 120 else after, retry_after_s=retry_after_s).go_on(120 + 60 * minutes)

    assert run.state.rate >= 0.85 * 40


@pytest.mark.parametrize("retry_after_s", [1.0, None, 5.0])
def test_a_limit_that_has_fallen_is_kept_within_a_minute(retry_after_s: float | None) -> None:
    before, after = FixedWindow(40, 1.0), FixedWindow(10, 1.0)

    run = Run(limit_at=lambda s: before if s < 120 else after, retry_after_s=retry_after_s).go_on(480)

    assert run.share(10, 180, 480) >= 0.85
    assert run.refusals(180, 480) < 0.01


def test_a_low_limit_that_is_halved_is_kept_within_a_minute() -> None:
    before, after = FixedWindow(20, 10.0), FixedWindow(10, 10.0)

    run = Run(limit_at=lambda s: before if s < 120 else after, retry_after_s=UNTIL_RESET).go_on(480)

    assert run.share(1, 180, 480) >= 0.85
    assert run.refusals(180, 480) < 0.01


def test_a_low_limit_that_is_doubled_is_found_within_eight_minutes() -> None:
    """Each look for a higher one waits for 300 requests."""
    before, after = FixedWindow(10, 10.0), FixedWindow(20, 10.0)

    run = Run(limit_at=lambda s: before if s < 120 else after, retry_after_s=UNTIL_RESET).go_on(600)

    assert run.state.rate >= 0.85 * 2


@pytest.mark.parametrize("counted", [FixedWindow, SlidingWindow])
def test_a_limit_that_is_counted_per_minute_is_kept_after_four(
    counted: type[FixedWindow] | type[SlidingWindow],
) -> None:
    """Each look at it costs a minute."""
    limit = counted(60, 60.0)

    run = Run(limit_at=lambda _: limit, retry_after_s=UNTIL_RESET).go_on(840)

    assert run.share(1, 240, 840) >= 0.85
    assert run.refusals(240, 840) < 0.01
