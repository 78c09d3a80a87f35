"""The simulation of polls agrees with what is known about it on paper."""

import pytest

from ops.bench import schedules
from ops.bench.polling import Latencies, play, score, taught

MODERATE = Latencies(median_s=20.0, sigma=0.35)
WIDE = Latencies(median_s=20.0, sigma=0.8)


@pytest.mark.parametrize(
    ("latency_s", "polls", "seen_at_s"),
    [(0.0, 1, 2.5), (2.5, 1, 2.5), (2.6, 2, 7.5), (7.5, 2, 7.5), (20.0, 5, 22.5)],
)
def test_the_documented_schedule_polls_after_two_and_a_half_seconds_and_then_every_five(
    latency_s: float, polls: int, seen_at_s: float
) -> None:
    seen = play(schedules.documented, latency_s)

    assert seen == (polls, seen_at_s)


@pytest.mark.parametrize(("latency_s", "seen_at_s"), [(2.0, 2.5), (7.0, 7.5), (17.0, 17.5), (18.0, 37.5)])
def test_backoff_doubles_each_wait(latency_s: float, seen_at_s: float) -> None:
    _, at_s = play(schedules.backoff, latency_s)

    assert at_s == seen_at_s


@pytest.mark.parametrize("latencies", [MODERATE, WIDE])
def test_a_short_fixed_interval_costs_half_the_mean_latency_in_lag_times_polls(latencies: Latencies) -> None:
    found = score(schedules.fixed(0.1), latencies.quantiles(5_000))

    assert found.lag_s * found.polls == pytest.approx(latencies.mean_s / 2, rel=0.02)


@pytest.mark.parametrize("latencies", [MODERATE, WIDE])
def test_a_fixed_interval_notices_an_end_half_an_interval_late_on_average(latencies: Latencies) -> None:
    found = score(schedules.fixed(1.0), latencies.quantiles(5_000))

    assert found.lag_s == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize(("latencies", "integral"), [(MODERATE, 3.493), (WIDE, 5.014)])
def test_the_floor_is_keller_s_integral(latencies: Latencies, integral: float) -> None:
    """Beside sums over time in steps of a thousandth of a second."""
    found = latencies.integral()

    assert found == pytest.approx(integral, rel=0.001)


@pytest.mark.parametrize("latencies", [MODERATE, WIDE])
@pytest.mark.parametrize("gap_s", [0.1, 1.0, 2.0])
def test_no_fixed_interval_is_better_than_the_floor(latencies: Latencies, gap_s: float) -> None:
    found = score(schedules.fixed(gap_s), latencies.quantiles(5_000))

    assert found.lag_s > latencies.least_lag_s(found.polls)


def test_quantiles_stand_for_the_distribution() -> None:
    values = MODERATE.quantiles(10_000)

    assert sum(values) / len(values) == pytest.approx(MODERATE.mean_s, rel=0.001)


def test_the_learned_schedule_polls_a_third_less_than_documented_and_is_hardly_later() -> None:
    values = MODERATE.quantiles(4_000)
    documented = score(schedules.documented, values)

    learned = score(schedules.learned(taught(MODERATE, is_told=True)), values)

    assert learned.polls <= 3.25
    assert documented.polls > 5.0
    assert learned.lag_s <= documented.lag_s * 1.03
