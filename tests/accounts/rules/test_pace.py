from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.accounts.rules import pace
from worker.accounts.rules.pace import Pace

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PLAIN = Pace(rate=10.0, is_learned=True, next_slot_at=NOW, blocked_until=None, throttled_at=None, raised_at=NOW)
RATES = st.floats(min_value=0.2, max_value=1000)
SPANS = st.floats(min_value=0, max_value=10).map(lambda s: timedelta(seconds=s))
SECOND = timedelta(seconds=1)
LATE = timedelta(milliseconds=30)
A_MICROSECOND = timedelta(microseconds=1)
"""Times have no finer grain, so that a gap may be rounded by this much."""


@given(RATES, st.lists(st.tuples(SPANS, st.integers(1, 250)), min_size=1, max_size=20))
def test_slots_are_one_over_the_rate_apart_within_a_round_and_between_rounds(
    rate: float, rounds: list[tuple[timedelta, int]]
) -> None:
    state, now, slots = replace(PLAIN, rate=rate), NOW, list[datetime]()
    for later, wanted in rounds:
        now += later
        given_ = pace.grant(state, now=now, wanted=wanted)
        slots, state = [*slots, *given_.slots], given_.pace

    gaps = [after - before for before, after in pairwise(slots)]

    assert min(gaps, default=timedelta.max) >= timedelta(seconds=1 / rate) - A_MICROSECOND


def _arrivals(rate: float) -> list[datetime]:
    """Return when requests of three seconds arrive, those of the first second late."""
    state, slots = replace(PLAIN, rate=rate, is_learned=False), list[datetime]()
    while not slots or slots[-1] < NOW + 3 * SECOND:
        given = pace.next_slot(state, now=NOW)
        assert given is not None
        slots, state = [*slots, *given.slots], given.pace
    return [slot + LATE if slot < NOW + SECOND else slot for slot in slots]


@pytest.mark.parametrize("rate", [1.0, 5.0, 20.0, 100.0])
def test_a_rate_that_was_set_stays_within_every_window_of_a_second_though_requests_are_late(rate: float) -> None:
    arrivals = _arrivals(rate)

    most = max(sum(start <= at < start + SECOND for at in arrivals) for start in arrivals)

    assert most <= rate


@given(RATES, SPANS, st.integers(1, 250))
def test_slots_lie_between_now_and_the_horizon(rate: float, later: timedelta, wanted: int) -> None:
    slots = pace.grant(replace(PLAIN, rate=rate, next_slot_at=NOW + later), now=NOW, wanted=wanted).slots

    assert min(slots, default=NOW) >= NOW
    assert max(slots, default=NOW) <= NOW + pace.HORIZON


def test_a_single_slot_is_given_however_far_ahead_but_not_while_the_key_is_closed() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(seconds=30))

    ahead = pace.next_slot(replace(PLAIN, next_slot_at=NOW + timedelta(hours=1)), now=NOW)

    assert ahead is not None
    assert ahead.slots == (NOW + timedelta(hours=1),)
    assert pace.next_slot(closed, now=NOW) is None


@pytest.mark.parametrize(
    ("left", "age", "floor", "spendable"),
    [
        (100, timedelta(0), None, 100),
        (-4, timedelta(0), None, -4),
        (100, pace.WALLET_BELIEVED_FOR, None, None),
        (None, timedelta(0), None, None),
        (100, pace.WALLET_BELIEVED_FOR, 40, 60),
        (None, timedelta(0), 0, 0),
    ],
    ids=["read", "overdrawn", "read long ago", "never read", "a floor holds", "a floor before the first reading"],
)
def test_a_wallet_bounds_what_is_committed_while_its_reading_is_recent_and_a_floor_always(
    left: int | None, age: timedelta, floor: int | None, spendable: int | None
) -> None:
    assert pace.spendable_credits(left=left, read_at=NOW, floor=floor, now=NOW + age) == spendable


def test_time_that_was_not_used_is_not_saved_up() -> None:
    slots = pace.grant(PLAIN, now=NOW + timedelta(hours=1), wanted=250).slots

    assert len(slots) == 3


@given(st.integers(1, 250), st.integers(0, 250))
def test_a_round_that_uses_fewer_slots_leaves_the_rest_to_the_next(wanted: int, used: int) -> None:
    offer = pace.grant(replace(PLAIN, rate=1000.0), now=NOW, wanted=wanted)
    rest = pace.grant(pace.grant(replace(PLAIN, rate=1000.0), now=NOW, wanted=used).pace, now=NOW, wanted=1)

    assert used >= len(offer.slots) or rest.slots[:1] == (offer.slots[used],)


@pytest.mark.parametrize("later_s", [0, 29.999])
def test_no_slot_is_given_while_the_key_is_closed(later_s: float) -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(seconds=30))

    assert pace.grant(closed, now=NOW + timedelta(seconds=later_s), wanted=1).slots == ()


def test_slots_are_given_again_from_the_named_instant_on() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(seconds=30))

    assert pace.grant(closed, now=NOW + timedelta(seconds=30), wanted=1).slots == (NOW + timedelta(seconds=30),)


def test_a_shorter_wait_does_not_open_a_key_that_is_closed_for_longer() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(seconds=30))

    again = pace.closed(closed, now=NOW, wait=timedelta(seconds=1))

    assert again.blocked_until == NOW + timedelta(seconds=30)


@given(RATES, SPANS)
def test_a_round_that_comes_when_it_opens_finds_a_slot(rate: float, later: timedelta) -> None:
    state = replace(PLAIN, rate=rate, next_slot_at=NOW + later, blocked_until=NOW + timedelta(seconds=3))

    opens = pace.opens_at(state, now=NOW)

    assert opens is not None
    assert pace.grant(state, now=opens, wanted=1).slots


def test_what_is_open_is_not_waited_for() -> None:
    assert pace.opens_at(PLAIN, now=NOW) is None


@pytest.mark.parametrize(("rounds", "saturation"), [(0, 0.0), (10, 0.65), (60, 1.0)])
def test_full_rounds_make_requests_scarce(rounds: int, saturation: float) -> None:
    found = reduce(lambda before, is_full: pace.saturation(before, is_full=is_full), [True] * rounds, 0.0)

    assert found == pytest.approx(saturation, abs=0.01)


def test_rounds_with_slots_to_spare_end_a_saturation() -> None:
    found = reduce(lambda before, is_full: pace.saturation(before, is_full=is_full), [False] * 44, 1.0)

    assert found == 0.0


@pytest.mark.parametrize("wait_s", [None, 0])
def test_a_429_that_names_no_wait_closes_the_key_all_the_same(wait_s: int | None) -> None:
    wait = None if wait_s is None else timedelta(seconds=wait_s)

    closed = pace.closed(PLAIN, now=NOW, wait=wait)

    assert closed.blocked_until is not None
    assert closed.blocked_until >= NOW + SECOND


def _refused_run(wait: timedelta | None, times: int) -> list[timedelta]:
    """Return the waits after so many 429s, each to the first request after the key was opened."""
    state, now, waits = PLAIN, NOW, list[timedelta]()
    for _ in range(times):
        state = pace.closed(state, now=now, wait=wait, is_again=True)
        assert state.blocked_until is not None
        waits.append(state.blocked_until - now)
        now = state.blocked_until + timedelta(milliseconds=50)
    return waits


@pytest.mark.parametrize("wait", [None, timedelta(0), 3 * SECOND])
def test_waits_of_429s_in_a_row_double_up_to_a_minute(wait: timedelta | None) -> None:
    waits = _refused_run(wait, 12)

    assert all(after >= 1.5 * before or after == timedelta(minutes=1) for before, after in pairwise(waits[1:]))
    assert waits[-1] == timedelta(minutes=1)


def test_a_named_wait_that_is_longer_than_a_grown_one_is_kept() -> None:
    assert set(_refused_run(timedelta(minutes=10), 5)) == {timedelta(minutes=10)}


def test_an_answer_ends_a_run_of_429s() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=10 * SECOND)

    again = pace.closed(closed, now=NOW + 11 * SECOND, wait=None, is_again=False)

    assert again.blocked_until == NOW + 11 * SECOND + pace.THROTTLE_WAIT


def test_a_429_after_an_idle_hour_is_no_part_of_an_earlier_run() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=10 * SECOND)
    later = NOW + timedelta(hours=1)

    again = pace.closed(closed, now=later, wait=None, is_again=True)

    assert (again.closed_at, again.blocked_until) == (later, later + pace.THROTTLE_WAIT)


def test_a_429_to_a_request_from_before_the_closing_does_not_close_the_key_anew() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=SECOND)

    late = pace.closed(closed, now=NOW + 2 * SECOND, wait=None, sent_at=NOW - SECOND, is_again=True)

    assert late == closed


def test_after_a_long_closing_one_request_goes_out_before_the_others() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(minutes=15))
    opened = NOW + timedelta(minutes=15)

    probe = pace.grant(closed, now=opened, wanted=250)
    meanwhile = pace.grant(probe.pace, now=opened + 4 * SECOND, wanted=250)
    after = pace.grant(probe.pace, now=opened + pace.PROBE_WAIT, wanted=250)

    assert (probe.slots, meanwhile.slots, len(after.slots)) == ((opened,), (), 3)


def test_a_probe_that_is_refused_closes_the_key_again() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(minutes=15))
    opened = NOW + timedelta(minutes=15)
    probe = pace.grant(closed, now=opened, wanted=250).pace

    again = pace.closed(probe, now=opened + SECOND, wait=timedelta(minutes=15), is_again=True)

    assert pace.grant(again, now=opened + pace.PROBE_WAIT, wanted=250).slots == ()


def test_a_key_that_a_person_opens_is_used_at_its_rate() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(minutes=15))

    opened = pace.opened(closed, now=NOW + SECOND)

    assert len(pace.grant(opened, now=NOW + SECOND, wanted=250).slots) == 3


def test_a_key_is_held_until_the_limit_resets_and_never_opened_by_it() -> None:
    closed = pace.closed(PLAIN, now=NOW, wait=timedelta(minutes=1))

    held = [pace.held(state, now=NOW, wait=10 * SECOND).blocked_until for state in (PLAIN, closed)]

    assert held == [NOW + 10 * SECOND, NOW + timedelta(minutes=1)]


def test_a_slot_of_a_low_rate_is_handed_out_shortly_before_it_begins() -> None:
    """A poll that a webhook brings forward meanwhile can still have it."""
    slow = replace(PLAIN, rate=2.0, next_slot_at=NOW + timedelta(milliseconds=200))

    assert pace.grant(slow, now=NOW, wanted=5).slots == ()
    assert pace.opens_at(slow, now=NOW) == slow.next_slot_at - pace.LEAD
    assert pace.grant(slow, now=NOW + pace.LEAD, wanted=5).slots == (slow.next_slot_at,)
