from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.accounts.rules import learned_rate
from worker.accounts.rules.pace import Pace

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLAIN = Pace(rate=10.0, is_learned=True, next_slot_at=NOW, blocked_until=None, throttled_at=None, raised_at=NOW)
FOUND = replace(
    PLAIN,
    rate=9.7,
    refused_rate=10.0,
    throttled_at=NOW - 62 * SECOND,
    blocked_until=NOW - 60 * SECOND,
    closed_at=NOW - 62 * SECOND,
)
"""A limit of 10 was met a minute ago, and the key was closed for two seconds."""


def test_the_first_429_cuts_the_rate_to_nine_tenths_of_what_was_answered() -> None:
    """It does not say which rate was too much: within the second that was counted the rate has doubled."""
    cut = learned_rate.throttled(replace(PLAIN, rate=40.0), now=NOW, retry_after=None, answered=20)

    assert (cut.rate, cut.refused_rate) == (18.0, None)


def test_after_the_first_cut_the_rate_climbs_until_it_is_refused() -> None:
    cut = replace(FOUND, rate=18.0, refused_rate=None)

    assert learned_rate.raised(cut, now=NOW + SECOND, answered=18).rate == pytest.approx(18.54)


def test_a_later_429_cuts_to_nine_tenths_of_the_rate_that_was_refused() -> None:
    beyond = replace(FOUND, rate=9.8)

    cut = learned_rate.throttled(beyond, now=NOW, retry_after=None, answered=98)

    assert (cut.refused_rate, cut.rate) == pytest.approx((9.8, 8.82))


def test_a_rate_that_is_refused_though_it_was_just_under_is_cut_by_a_little_more() -> None:
    known = replace(FOUND, rate=9.0)

    cut = learned_rate.throttled(known, now=NOW, retry_after=None, answered=90)

    assert cut.refused_rate == pytest.approx(0.97 * 9.0)


REFUSED_AGAIN = replace(FOUND, rate=10.0, closed_at=NOW - 8 * SECOND, blocked_until=NOW - SECOND)


def test_what_is_refused_again_at_once_is_measured_over_as_long_as_it_was_refused() -> None:
    """The provider counts over longer than the key was closed: 20 requests in eight seconds, and none since."""
    since = learned_rate.counted_since(REFUSED_AGAIN, now=NOW, is_again=True, retry_after=None)

    cut = learned_rate.throttled(REFUSED_AGAIN, now=NOW, retry_after=None, answered=20, is_again=True)

    assert since == NOW - 16 * SECOND
    assert cut.refused_rate == pytest.approx(2.5)


FILLED = replace(FOUND, rate=6.0, refused_rate=6.3, closed_at=NOW - 10 * SECOND, blocked_until=NOW - 3 * SECOND)
"""A window of ten seconds was used up in three; before, the key was closed for seven seconds."""


def test_a_window_that_is_filled_each_time_is_measured_by_its_requests_and_the_wait_to_its_end() -> None:
    wait = 8 * SECOND
    since = learned_rate.counted_since(FILLED, now=NOW, is_again=False, retry_after=wait)

    cut = learned_rate.throttled(FILLED, now=NOW, retry_after=wait, answered=22)

    assert since == FILLED.blocked_until
    assert cut.refused_rate == pytest.approx(2.0)


@pytest.mark.parametrize("wait", [None, 7 * SECOND, SECOND])
def test_a_wait_that_is_always_the_same_or_too_short_says_nothing_of_a_window(wait: timedelta | None) -> None:
    since = learned_rate.counted_since(FILLED, now=NOW, is_again=False, retry_after=wait)

    cut = learned_rate.throttled(FILLED, now=NOW, retry_after=wait, answered=6)

    assert since == NOW - SECOND
    assert cut.refused_rate == pytest.approx(0.97 * 6.0)


def test_an_idle_account_that_is_refused_again_learns_nothing_of_its_own_rate() -> None:
    """A neighbour has used the limit up: what was answered before is no measure."""
    cut = learned_rate.throttled(
        replace(REFUSED_AGAIN, refused_rate=None), now=NOW, retry_after=None, answered=1, is_again=True
    )

    assert cut.refused_rate == pytest.approx(8.0)


@pytest.mark.parametrize(("answered", "refused"), [(0, 8.0), (9, 9.0), (20, 10.0)])
def test_soon_after_the_key_was_opened_the_limit_may_be_far_below(answered: int, refused: float) -> None:
    reopened = replace(FOUND, rate=10.0, blocked_until=NOW - 2 * SECOND, throttled_at=NOW - 7 * SECOND)

    cut = learned_rate.throttled(reopened, now=NOW, retry_after=None, answered=answered)

    assert cut.refused_rate == pytest.approx(refused)


@pytest.mark.parametrize(("open_s", "answered", "refused"), [(9, 5, 5 / 9), (9, 0, 0.48), (0, 1, 0.6)])
def test_at_a_low_rate_all_that_was_answered_since_the_opening_is_counted(
    open_s: int, answered: int, refused: float
) -> None:
    """In a second of such a rate there is one request or none, which would say nothing of it."""
    opened_at = NOW - open_s * SECOND
    reopened = replace(FOUND, rate=0.6, refused_rate=None, blocked_until=opened_at, throttled_at=NOW - 12 * SECOND)

    since = learned_rate.counted_since(reopened, now=NOW, is_again=False, retry_after=None)
    cut = learned_rate.throttled(reopened, now=NOW, retry_after=None, answered=answered)

    assert since == min(opened_at, NOW - SECOND)
    assert cut.refused_rate == pytest.approx(refused)


def test_the_429s_of_one_burst_cut_once() -> None:
    once = learned_rate.throttled(PLAIN, now=NOW, retry_after=None, answered=10)

    assert learned_rate.throttled(once, now=NOW + SECOND, retry_after=None, answered=0).rate == 9.0


def test_a_429_leaves_a_rate_alone_that_a_person_set() -> None:
    closed = learned_rate.throttled(replace(PLAIN, is_learned=False), now=NOW, retry_after=30 * SECOND, answered=1)

    assert (closed.rate, closed.blocked_until) == (10.0, NOW + 30 * SECOND)


@given(st.lists(st.tuples(st.sampled_from(["429", "busy", "idle"]), st.integers(0, 6_000)), max_size=200))
def test_a_learned_rate_stays_between_floor_and_ceiling(events: list[tuple[str, int]]) -> None:
    state, now = PLAIN, NOW
    for event, answered in events:
        now += 6 * SECOND
        match event:
            case "429":
                state = learned_rate.throttled(state, now=now, retry_after=None, answered=answered)
            case "busy":
                state = learned_rate.raised(state, now=now, answered=answered)
            case _:
                state = learned_rate.unused(state, now=now)

    assert learned_rate.FLOOR <= state.rate <= learned_rate.CEILING


def test_a_rate_that_is_used_to_the_full_doubles_in_a_second_until_the_first_429() -> None:
    assert learned_rate.raised(PLAIN, now=NOW + SECOND, answered=10).rate == 20.0


def test_a_rate_does_not_rise_while_the_nodes_cannot_send_what_is_handed_out() -> None:
    assert learned_rate.raised(PLAIN, now=NOW + SECOND, answered=7).rate == 10.0


def test_a_cut_rate_climbs_quickly_to_just_under_what_was_refused() -> None:
    cut = replace(FOUND, rate=9.0)

    assert learned_rate.raised(cut, now=NOW + SECOND, answered=10).rate == pytest.approx(9.27)


def test_it_does_not_climb_further_than_just_under() -> None:
    cut = replace(FOUND, rate=9.6)

    assert learned_rate.raised(cut, now=NOW + SECOND, answered=10).rate == pytest.approx(9.7)


@pytest.mark.parametrize(("patient_s", "rate"), [(19, 9.7), (21, 9.7291)])
def test_it_looks_further_after_forty_times_the_time_for_which_the_key_was_closed(patient_s: int, rate: float) -> None:
    later = NOW + patient_s * SECOND

    risen = learned_rate.raised(replace(FOUND, raised_at=later - SECOND), now=later, answered=10)

    assert risen.rate == pytest.approx(rate)


def test_a_refused_rate_that_was_exceeded_by_far_no_longer_holds_it_back() -> None:
    exceeding = replace(FOUND, rate=10.6)

    assert learned_rate.raised(exceeding, now=NOW + SECOND, answered=11).rate == pytest.approx(10.6 * 1.03)


@pytest.mark.parametrize(("rate", "climbed"), [(0.55, 1.003), (0.61, 1.03)])
def test_a_low_refused_rate_is_disproved_by_a_whole_request_more_in_ten_seconds(rate: float, climbed: float) -> None:
    """A window of five requests has room for a rate that is a tenth too high, until the sixth falls into it."""
    probing = replace(FOUND, rate=rate, refused_rate=0.5, blocked_until=NOW - timedelta(hours=1))

    assert learned_rate.raised(probing, now=NOW + SECOND, answered=1).rate == pytest.approx(rate * climbed)


def test_nothing_is_judged_before_a_second_of_full_use() -> None:
    assert not learned_rate.has_stretch(PLAIN, now=NOW + 0.99 * SECOND)


def test_at_a_low_rate_a_stretch_is_three_slots_long() -> None:
    slow = replace(PLAIN, rate=0.5)

    found = [learned_rate.has_stretch(slow, now=NOW + seconds * SECOND) for seconds in (5.9, 6.0)]

    assert found == [False, True]


def test_a_slot_that_is_left_over_begins_the_stretch_anew() -> None:
    idle = learned_rate.unused(PLAIN, now=NOW + SECOND)

    assert not learned_rate.has_stretch(idle, now=NOW + 1.9 * SECOND)


def test_an_idle_hour_does_not_raise_the_rate_when_work_comes_back() -> None:
    assert learned_rate.raised(PLAIN, now=NOW + timedelta(hours=1), answered=100_000).rate == 10.0


def test_two_dispatchers_raise_it_once_a_second() -> None:
    """They share one row: what one has judged is no stretch any more for the other."""
    risen = learned_rate.raised(PLAIN, now=NOW + SECOND, answered=10)

    assert not learned_rate.has_stretch(risen, now=NOW + 1.02 * SECOND)
