"""Every change of the wallet is accounted for, by rule, and nothing is counted twice."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.audit.rules.reconciliation import Border, Cause, Doubt, Interval, Late, explain

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING = Border()


def interval(change: int, ours: int = 0, *, start: Border = NOTHING, end: Border = NOTHING, **more: int) -> Interval:
    """Return one hour; ``number`` says which, ``before`` what the wallet held."""
    begins_at = NOON + timedelta(hours=more.get("number", 0))
    before = more.get("before", 1_000)
    return Interval(
        begins_at=begins_at,
        ends_at=begins_at + timedelta(hours=1),
        before=before,
        after=before + change,
        ours=ours,
        start=start,
        end=end,
    )


@pytest.mark.parametrize(
    ("change", "ours", "before", "cause"),
    [
        (500, 0, 1_000, Cause.TOP_UP),
        (100, 0, 1_000, Cause.TOP_UP),
        (99, 0, 1_000, Cause.UNEXPLAINED),
        (-40, 0, 1_000, Cause.OUTSIDE),
        (-1_000, 0, 1_000, Cause.EXPIRY),
        (-1_000, 4, 1_000, Cause.OUTSIDE),
    ],
)
def test_what_is_not_ours_is_classed_by_its_shape(change: int, ours: int, before: int, cause: Cause) -> None:
    (found,) = explain([interval(change, ours, before=before)])

    assert found.amounts == {cause: change + ours}


def test_a_change_that_our_entries_show_needs_no_cause() -> None:
    (found,) = explain([interval(-8, 8)])

    assert (found.amounts, found.rest) == ({}, 0)


def test_what_the_provider_took_before_a_reading_and_we_booked_after_it_is_timing() -> None:
    border = Border(spent_after=4)

    found = explain([interval(-4, 0, end=border), interval(0, 4, start=border, number=1)])

    assert [each.amounts for each in found] == [{Cause.TIMING: -4}, {Cause.TIMING: 4}]


def test_a_refund_that_reached_the_wallet_after_the_reading_is_timing() -> None:
    border = Border(released_before=4)

    found = explain([interval(0, -4, end=border), interval(4, 0, start=border, number=1)])

    assert [each.amounts for each in found] == [{Cause.TIMING: -4}, {Cause.TIMING: 4}]


def test_timing_explains_no_more_than_was_posted_near_the_reading() -> None:
    border = Border(spent_after=4)

    found = explain([interval(-50, 0, end=border), interval(0, 4, start=border, number=1)])

    assert [each.amounts for each in found] == [{Cause.TIMING: -4, Cause.OUTSIDE: -46}, {Cause.TIMING: 4}]


def test_neighbours_that_miss_the_same_are_no_timing_when_nothing_of_ours_was_posted_there() -> None:
    """Else strangers who spend 200 and buy 200 would never be seen."""
    found = explain([interval(-200), interval(200, number=1)])

    assert [each.amounts for each in found] == [{Cause.OUTSIDE: -200}, {Cause.TOP_UP: 200}]


def test_a_refund_that_was_booked_long_after_it_came_is_found_where_it_came() -> None:
    hours = [interval(0), interval(4, number=1), interval(0, -4, number=2)]

    found = explain(hours, late=[Late(taken_in=0, booked_in=2, credits=4, is_release=True)])

    assert [each.amounts for each in found] == [{}, {Cause.DOUBT: 4}, {Cause.DOUBT: -4}]


def test_what_a_person_took_back_explains_a_rise_before_the_correction() -> None:
    corrected = Doubt(held_at=NOON, credits=-4, until=NOON + timedelta(hours=5))

    found = explain([interval(0), interval(6, number=3), interval(4, number=7)], doubts=[corrected])

    assert [each.amounts for each in found] == [
        {},
        {Cause.DOUBT: 4, Cause.UNEXPLAINED: 2},
        {Cause.UNEXPLAINED: 4},
    ]


def test_what_was_posted_right_after_the_last_reading_is_timing() -> None:
    (found,) = explain([interval(-4, 0, end=Border(spent_after=4))])

    assert found.amounts == {Cause.TIMING: -4}


def test_a_hold_that_was_never_answered_explains_a_fall_of_its_size() -> None:
    (found,) = explain([interval(-10)], doubts=[Doubt(held_at=NOON + timedelta(minutes=5), credits=4)])

    assert found.amounts == {Cause.DOUBT: -4, Cause.OUTSIDE: -6}


def test_a_hold_that_was_never_answered_explains_no_rise_and_nothing_of_another_day() -> None:
    doubts = [Doubt(held_at=NOON - timedelta(days=1), credits=4), Doubt(held_at=NOON, credits=4)]

    found = explain([interval(0), interval(-8, number=5)], doubts=doubts)

    assert [each.amounts for each in found] == [{}, {Cause.OUTSIDE: -8}]


def test_a_late_answer_is_held_against_the_time_at_which_the_request_was_sent() -> None:
    hours = [interval(-4), interval(0, number=1), interval(0, 4, number=2)]

    found = explain(hours, late=[Late(taken_in=0, booked_in=2, credits=4)])

    assert [each.amounts for each in found] == [{Cause.DOUBT: -4}, {}, {Cause.DOUBT: 4}]
