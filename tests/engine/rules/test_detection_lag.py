"""What a poll is worth, beside sums over time of distributions that are known on paper."""

import math
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from statistics import NormalDist

import pytest

from worker.engine.rules.polling import Histogram, merged
from worker.engine.rules.ranking import Ends, ends

F = Callable[[float], float]
SAMPLES = 4_000
STEPS = 20_000


def exponential(mean_s: float) -> tuple[F, Callable[[float], float]]:
    return lambda t: 1 - math.exp(-t / mean_s), lambda share: -mean_s * math.log(1 - share)


def log_normal(median_s: float, sigma: float) -> tuple[F, Callable[[float], float]]:
    normal = NormalDist(math.log(median_s), sigma)
    return lambda t: normal.cdf(math.log(t)) if t > 0 else 0.0, lambda share: math.exp(normal.inv_cdf(share))


@cache
def learned(quantile: Callable[[float], float]) -> Ends:
    """Return what a histogram says that has counted equal shares of a distribution, none of them forgotten."""
    counts = list(Histogram().counts)
    for k in range(SAMPLES):
        took = timedelta(seconds=quantile((k + 0.5) / SAMPLES))
        counts = [a + b for a, b in zip(counts, Histogram().observe(took, took).counts, strict=True)]
    found = ends(Histogram(counts=tuple(counts)))
    assert found is not None
    return found


def on_paper(f: F, looked_s: float, age_s: float) -> float:
    """Return the integral of (F(t) - F(looked)) / (1 - F(looked)) as a sum over short steps."""
    step = (age_s - looked_s) / STEPS
    known = f(looked_s)
    return sum((f(looked_s + (k + 0.5) * step) - known) / (1 - known) * step for k in range(STEPS))


DISTRIBUTIONS = {
    "exponential, 20 s": exponential(20.0),
    "log-normal, 20 s, narrow": log_normal(20.0, 0.35),
    "log-normal, 3 s, wide": log_normal(3.0, 0.8),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(("looked_s", "age_s"), [(0.0, 5.0), (0.0, 30.0), (2.5, 7.5), (6.0, 16.0), (15.0, 30.0)])
def test_the_wait_is_the_integral_over_the_time_since_the_last_look(looked_s: float, age_s: float, name: str) -> None:
    f, quantile = DISTRIBUTIONS[name]

    found = learned(quantile).detection_lag_s(looked_s=looked_s, age_s=age_s)

    assert found == pytest.approx(on_paper(f, looked_s, age_s), rel=0.06, abs=0.06)


@pytest.mark.parametrize(("looked_s", "age_s"), [(0.0, 10.0), (20.0, 30.0), (60.0, 70.0)])
def test_without_memory_only_the_time_since_the_look_counts(looked_s: float, age_s: float) -> None:
    """An exponential latency is as likely to end in the next second at every age: 10 s are worth the same always."""
    found = learned(exponential(20.0)[1]).detection_lag_s(looked_s=looked_s, age_s=age_s)

    assert found == pytest.approx(10.0 - 20.0 * (1 - math.exp(-0.5)), rel=0.08)


def test_a_generation_older_than_all_that_were_seen_counts_as_ended_since_the_last_look() -> None:
    known = learned(log_normal(3.0, 0.1)[1])

    assert known.detection_lag_s(looked_s=100.0, age_s=160.0) == pytest.approx(60.0)


def test_a_generation_beyond_the_longest_age_that_is_counted_still_has_an_answer() -> None:
    """The histogram ends after 4.5 hours."""
    known = learned(log_normal(3.0, 0.1)[1])

    assert known.detection_lag_s(looked_s=0.0, age_s=20_000.0) == pytest.approx(20_000.0 - 3.0, abs=0.5)


@pytest.mark.parametrize(("looked_s", "age_s"), [(5.0, 5.0), (5.0, 4.0), (-1.0, 0.0)])
def test_there_is_nothing_to_find_in_no_time(looked_s: float, age_s: float) -> None:
    assert learned(exponential(20.0)[1]).detection_lag_s(looked_s=looked_s, age_s=age_s) == 0.0


def test_nothing_is_said_before_enough_is_known() -> None:
    assert ends(Histogram()) is None


def test_of_what_is_older_than_all_that_were_seen_all_has_ended() -> None:
    known = ends(merged(Histogram(), [(timedelta(seconds=3), timedelta(seconds=3))] * 30))

    assert known is not None
    assert known.share(looked_s=1e6, age_s=2e6) == 1.0
