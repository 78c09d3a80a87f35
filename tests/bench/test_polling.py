"""The simulation of polls agrees with what is known about it on paper."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from ops.bench.polls import schedules
from ops.bench.polls.polling import Latencies, play, score, taught
from ops.bench.polls.schedules import Schedule
from worker.engine.rules.polling import Histogram

MODERATE = Latencies(median_s=20.0, sigma=0.35)
WIDE = Latencies(median_s=20.0, sigma=0.8)


@pytest.mark.parametrize(
    ("latency_s", "polls", "seen_at_s"),
    [(0.0, 1, 2.5), (2.5, 1, 2.5), (2.6, 2, 7.5), (7.5, 2, 7.5), (20.0, 5, 22.5)],
)
def test_as_often_as_permitted_is_after_two_and_a_half_seconds_and_then_every_five(
    latency_s: float, polls: int, seen_at_s: float
) -> None:
    seen = play(schedules.constant, latency_s)

    assert seen == (polls, seen_at_s)


@pytest.mark.parametrize(("latency_s", "polls", "seen_at_s"), [(12.5, 3, 12.5), (12.6, 4, 18.33), (20.0, 5, 25.0)])
def test_the_documented_schedule_is_what_a_node_does_that_has_learned_nothing(
    latency_s: float, polls: int, seen_at_s: float
) -> None:
    seen = play(schedules.documented, latency_s)

    assert seen == pytest.approx((polls, seen_at_s), abs=0.01)


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


@pytest.mark.parametrize("is_told", [True, False])
def test_the_learned_schedule_takes_3_2_polls_and_is_hardly_later_than_one_that_polls_as_often_as_permitted(
    is_told: bool,  # noqa: FBT001
) -> None:
    values = MODERATE.quantiles(4_000)
    constant, documented = score(schedules.constant, values), score(schedules.documented, values)

    learned = score(schedules.learned(taught(MODERATE, is_told=is_told)), values)

    assert learned.polls <= 3.2
    assert learned.lag_s <= documented.lag_s
    assert learned.lag_s <= constant.lag_s * 1.03


def moderate(chance: random.Random) -> float:
    return 20.0 * chance.lognormvariate(0, 0.35)


def wide(chance: random.Random) -> float:
    return 20.0 * chance.lognormvariate(0, 0.8)


def in_two_humps(chance: random.Random) -> float:
    return (3.0 if chance.random() < 0.6 else 30.0) * chance.lognormvariate(0, 0.15)


def with_a_slow_few(chance: random.Random) -> float:
    return (20.0 if chance.random() < 0.97 else 100.0) * chance.lognormvariate(0, 0.2)


def after_lessons(draw: Callable[[random.Random], float], lessons: int) -> Schedule:
    chance, seen = random.Random(1), Histogram()
    for _ in range(lessons):
        took = timedelta(seconds=draw(chance))
        seen = seen.observe(took, took)
    return schedules.learned(seen)


@pytest.mark.parametrize("lessons", [30, 50, 1500])
@pytest.mark.parametrize("draw", [moderate, wide, in_two_humps, with_a_slow_few])
def test_however_latencies_are_spread_and_however_few_were_seen_the_learned_schedule_is_no_later_than_documented(
    draw: Callable[[random.Random], float], lessons: int
) -> None:
    chance = random.Random(2)
    values = [draw(chance) for _ in range(2_000)]
    documented = score(schedules.documented, values)

    learned = score(after_lessons(draw, lessons), values)

    assert learned.lag_s <= documented.lag_s
    assert learned.p99_s <= 1.5 * documented.p99_s
    assert learned.polls <= 1.1 * documented.polls
