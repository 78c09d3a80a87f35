import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.rules.polling import (
    BUCKETS,
    LONGEST_GAP,
    OVERDUE_AFTER,
    Histogram,
    LearnedSchedule,
    PollSchedule,
    merged,
)

DOCUMENTED = PollSchedule(first=timedelta(seconds=2.5), gap=timedelta(seconds=5))
COUNTS = st.lists(st.floats(0, 500), min_size=BUCKETS, max_size=BUCKETS).map(lambda c: Histogram(counts=tuple(c)))
AGES = st.floats(0, 2 * OVERDUE_AFTER.total_seconds()).map(lambda s: timedelta(seconds=s))


def seen(*latencies_s: float) -> Histogram:
    return merged(Histogram(), [(timedelta(seconds=s), timedelta(seconds=s)) for s in latencies_s])


def wait_s(histogram: Histogram, *, age_s: float, polls: int) -> float:
    schedule = LearnedSchedule(documented=DOCUMENTED, seen=histogram)
    return schedule.wait(age=timedelta(seconds=age_s), polls=polls).total_seconds()


TWO_HUMPS = seen(*[3.0] * 60, *[30.0] * 40)


@pytest.mark.parametrize("age_s", [7.5, 12.0])
def test_where_nothing_ends_the_next_poll_waits_until_something_does(age_s: float) -> None:
    seen_at_s = age_s + wait_s(TWO_HUMPS, age_s=age_s, polls=2)

    assert 20 < seen_at_s < 33


def test_while_generations_end_they_are_asked_about_at_the_documented_pace() -> None:
    assert wait_s(TWO_HUMPS, age_s=29, polls=3) == 5


@given(COUNTS, AGES, st.integers(0, 100), st.floats(0, 1))
def test_no_wait_is_shorter_than_documented_or_longer_than_a_minute(
    histogram: Histogram, age: timedelta, polls: int, saturation: float
) -> None:
    schedule = LearnedSchedule(documented=DOCUMENTED, seen=histogram, saturation=saturation)

    wait = schedule.wait(age=age, polls=polls)

    assert DOCUMENTED.first <= wait <= LONGEST_GAP


def test_a_little_knowledge_is_none() -> None:
    assert wait_s(seen(*[20.0] * 19), age_s=0, polls=0) == 2.5


def test_at_a_steady_hazard_the_gap_is_keller_s() -> None:
    """Generations that end at 0.01 a second, whatever their age: the least cost is at sqrt(2c / h)."""
    edges = [100 * -math.log(1 - (n + 0.5) / 5_000) for n in range(5_000)]
    steady = Histogram(counts=tuple(float(c) for c in counts_of(edges)))

    gap = steady.gap(timedelta(seconds=50), detection_lag_s=0.5)

    assert gap.total_seconds() == pytest.approx(10, rel=0.1)


def counts_of(latencies_s: list[float]) -> list[float]:
    one = [seen(latency_s).counts for latency_s in latencies_s[::10]]
    return [sum(column) for column in zip(*one, strict=True)]


@given(COUNTS)
def test_what_is_expected_is_what_was_seen_and_three_more(histogram: Histogram) -> None:
    assert histogram.smoothed().total == pytest.approx(histogram.total + 3)


@given(COUNTS, AGES, st.floats(0.01, 10))
def test_a_gap_after_which_more_may_be_undetected_is_longer(histogram: Histogram, age: timedelta, more: float) -> None:
    short = histogram.smoothed().gap(age, detection_lag_s=0.3)
    long = histogram.smoothed().gap(age, detection_lag_s=0.3 + more)

    assert long >= short


@pytest.mark.parametrize(
    ("age_s", "detection_lag_s"), [(30, 0.3), (1, 100_000)], ids=["older than all", "longer than all"]
)
def test_what_is_never_reached_has_no_gap(age_s: float, detection_lag_s: float) -> None:
    assert seen(*[3.0] * 30).gap(timedelta(seconds=age_s), detection_lag_s=detection_lag_s) == timedelta.max


def test_the_age_by_which_a_share_has_ended_lies_where_the_generations_ended() -> None:
    assert 2.5 < TWO_HUMPS.quantile(0.5).total_seconds() < 3.5
    assert 25 < TWO_HUMPS.quantile(0.9).total_seconds() < 36
    assert Histogram().quantile(0.5) == timedelta(0)


@pytest.mark.parametrize(("age", "wait_s"), [(OVERDUE_AFTER - timedelta(seconds=1), 5), (OVERDUE_AFTER, 60)])
def test_without_knowledge_an_overdue_generation_is_asked_about_once_a_minute(age: timedelta, wait_s: float) -> None:
    assert DOCUMENTED.wait(age=age, polls=1) == timedelta(seconds=wait_s)
