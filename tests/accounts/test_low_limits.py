"""Limits of a few requests in ten seconds: used nearly whole, hardly ever overrun, and shared with a neighbour.

Where chance decides (a neighbour, a burst), the figures are those of fixed seeds. What each row reaches stands in
docs/performance.md (`python -m tests.accounts.limit_rows`).
"""

import pytest

from tests.accounts.limit_rows import COUNTED, LIMITS, WAITS, Row


@pytest.mark.parametrize(("rate", "window_s"), LIMITS[:-1])
@pytest.mark.parametrize("counted", COUNTED)
def test_a_rate_that_is_set_is_used_to_nine_tenths_without_a_429(counted: str, rate: float, window_s: float) -> None:
    found = Row(rate=rate, window_s=window_s, counted=counted, set_to=1.0).measure(seeds=1)

    assert found.used >= 0.9
    assert found.refused == 0


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("retry_after_s", WAITS)
@pytest.mark.parametrize("counted", ["fixed", "sliding"])
def test_a_low_limit_is_found_in_a_minute_and_used_to_nine_tenths_with_429s_under_a_hundredth(
    counted: str, retry_after_s: float | None, rate: float
) -> None:
    found = Row(rate=rate, window_s=10.0, counted=counted, retry_after_s=retry_after_s).worst(seeds=3)

    assert found.used >= 0.9
    assert found.refused < 0.01


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("retry_after_s", WAITS)
def test_a_small_bucket_is_used_whole_with_429s_under_a_fiftieth(retry_after_s: float | None, rate: float) -> None:
    """Its reserve hides for minutes that a rate is too high."""
    found = Row(rate=rate, window_s=10.0, counted="bucket", retry_after_s=retry_after_s).measure()

    assert found.used >= 0.9
    assert found.refused < 0.02


@pytest.mark.parametrize("retry_after_s", WAITS)
@pytest.mark.parametrize(("rate", "least"), [(0.5, 0.5), (2.0, 0.6), (20.0, 0.8)])
def test_beside_a_neighbour_a_learned_rate_uses_most_of_what_is_left(
    rate: float, least: float, retry_after_s: float | None
) -> None:
    """The fewer requests a window has, the more of them chance takes; nine tenths cannot be had with few 429s."""
    found = Row(rate=rate, window_s=10.0, counted="fixed", retry_after_s=retry_after_s, has_neighbour=True).measure()

    assert found.used >= least
    assert found.refused < 0.05
