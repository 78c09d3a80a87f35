"""Another machine's clock, between readings."""

import pytest

from worker.core.db.clock import DRIFT, Estimate, Reading, reckon

NOON_S = 1_800_000_000.0


def reading(at_s: float, theirs_s: float, *, way_s: float = 0.002) -> Reading:
    return Reading(asked_s=at_s - way_s / 2, answered_s=at_s + way_s / 2, theirs_s=theirs_s)


@pytest.fixture
def known() -> Estimate:
    return reckon(None, reading(100.0, NOON_S)).estimate


def test_between_readings_the_time_goes_on_with_the_monotonic_clock(known: Estimate) -> None:
    assert known.now_s(160.0) == pytest.approx(NOON_S + 60.0)


def test_an_estimate_is_off_by_half_the_way_at_most_and_more_the_older_it_is(known: Estimate) -> None:
    assert known.uncertainty_s(100.0) == pytest.approx(0.001)
    assert known.uncertainty_s(1100.0) == pytest.approx(0.001 + 1000 * DRIFT)


def test_a_reading_that_took_long_does_not_replace_a_surer_one(known: Estimate) -> None:
    after = reckon(known, reading(101.0, NOON_S + 1.4, way_s=2.0))

    assert (after.estimate, after.stepped_s) == (known, 0.0)


def test_a_reading_that_is_surer_than_an_old_one_replaces_it(known: Estimate) -> None:
    after = reckon(known, reading(200.0, NOON_S + 100.02))

    assert after.estimate.now_s(200.0) == pytest.approx(NOON_S + 100.02)
    assert after.stepped_s == 0.0


@pytest.mark.parametrize("step_s", [86_400.0, -86_400.0, 600.0, -600.0, 1.0])
def test_a_clock_that_was_stepped_is_followed_and_told(step_s: float, known: Estimate) -> None:
    after = reckon(known, reading(105.0, NOON_S + 5.0 + step_s))

    assert after.estimate.now_s(105.0) == pytest.approx(NOON_S + 5.0 + step_s)
    assert after.stepped_s == pytest.approx(step_s)


def test_a_step_is_followed_also_where_its_reading_took_long(known: Estimate) -> None:
    after = reckon(known, reading(105.0, NOON_S + 3600.0, way_s=2.0))

    assert after.stepped_s == pytest.approx(3595.0)
