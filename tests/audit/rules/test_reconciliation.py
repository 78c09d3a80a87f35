"""Every change of the wallet is accounted for, by rule, and nothing is counted twice."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.audit.rules.reconciliation import Border, Cause, Doubt, Interval, Late, explain

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING = Border()
A, B, C = (UUID(int=number) for number in range(1, 4))


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

    found = explain(hours, late=[Late(generation_id=A, taken_in=0, booked_in=2, credits=4, is_release=True)])

    assert [each.amounts for each in found] == [{}, {Cause.DOUBT: 4}, {Cause.DOUBT: -4}]


def test_what_a_person_took_back_explains_a_rise_before_the_correction() -> None:
    corrected = Doubt(generation_id=A, held_at=NOON, credits=-4, until=NOON + timedelta(hours=5), is_decided=True)

    found = explain([interval(0), interval(6, number=3), interval(4, number=7)], doubts=[corrected])

    assert [each.amounts for each in found] == [
        {},
        {Cause.DOUBT: 4, Cause.UNEXPLAINED: 2},
        {Cause.UNEXPLAINED: 4},
    ]


def test_what_was_posted_right_after_the_last_reading_is_timing() -> None:
    (found,) = explain([interval(-4, 0, end=Border(spent_after=4))])

    assert found.amounts == {Cause.TIMING: -4}


def open_hold(generation_id: UUID = A, credits_: int = 4, hours: float = 0.1) -> Doubt:
    return Doubt(generation_id=generation_id, held_at=NOON + timedelta(hours=hours), credits=credits_)


def decided(generation_id: UUID = A, credits_: int = 4, hours: float = 0.1) -> Doubt:
    return Doubt(generation_id=generation_id, held_at=NOON + timedelta(hours=hours), credits=credits_, is_decided=True)


def test_a_fall_that_an_unanswered_hold_or_others_may_have_caused_is_ambiguous_and_names_the_hold() -> None:
    """The hold may be innocent: others may have spent its 4 credits as well as the other 6."""
    (found,) = explain([interval(-10)], doubts=[open_hold()])

    assert found.amounts == {Cause.AMBIGUOUS: -4, Cause.OUTSIDE: -6}
    assert [each.generation_id for each in found.candidates] == [A]


def test_a_hold_is_a_candidate_in_every_interval_of_its_time() -> None:
    found = explain([interval(-4), interval(-4, number=1), interval(-4, number=2)], doubts=[open_hold()])

    assert [each.amounts for each in found] == [{Cause.AMBIGUOUS: -4}, {Cause.AMBIGUOUS: -4}, {Cause.OUTSIDE: -4}]


@pytest.mark.parametrize(
    ("fall", "amounts"),
    [
        (-3, {Cause.OUTSIDE: -3}),
        (-4, {Cause.AMBIGUOUS: -4}),
        (-8, {Cause.AMBIGUOUS: -6, Cause.OUTSIDE: -2}),
        (-10, {Cause.AMBIGUOUS: -10}),
        (-50, {Cause.AMBIGUOUS: -10, Cause.OUTSIDE: -40}),
    ],
)
def test_candidates_are_held_against_the_amount_as_well_as_the_time(fall: int, amounts: dict[Cause, int]) -> None:
    """Of a fall of 8 no holds of 4 and 6 can have caused more than 6."""
    (found,) = explain([interval(fall)], doubts=[open_hold(A, 4), open_hold(B, 6)])

    assert found.amounts == amounts


def test_what_a_person_found_charged_explains_the_one_fall_of_its_time() -> None:
    found = explain([interval(-4), interval(0, number=1)], doubts=[decided()])

    assert [each.amounts for each in found] == [{Cause.DOUBT: -4}, {}]


def test_what_a_person_found_charged_stays_ambiguous_where_another_fall_may_have_been_it() -> None:
    found = explain([interval(-4), interval(-4, number=1)], doubts=[decided()])

    assert [each.amounts for each in found] == [{Cause.AMBIGUOUS: -4}, {Cause.AMBIGUOUS: -4}]


def test_decided_holds_that_make_up_all_falls_of_their_time_explain_them() -> None:
    found = explain([interval(-4), interval(-8, number=1)], doubts=[decided(A), decided(B), decided(C)])

    assert [each.amounts for each in found] == [{Cause.DOUBT: -4}, {Cause.DOUBT: -8}]


def test_a_top_up_of_the_same_time_may_hide_a_decided_hold_so_that_a_fall_is_not_its_own() -> None:
    found = explain([interval(-4), interval(496, number=1)], doubts=[decided()])

    assert [each.amounts for each in found] == [{Cause.AMBIGUOUS: -4}, {Cause.TOP_UP: 496}]


def test_a_late_answer_beside_a_top_up_takes_no_fall_of_others_upon_itself() -> None:
    """Whether it moved where it was booked, beside a top-up of 500, or before, cannot be told."""
    found = explain(
        [interval(-4), interval(496, 4, number=1)],
        late=[Late(generation_id=A, taken_in=0, booked_in=1, credits=4)],
    )

    assert [each.amounts for each in found] == [
        {Cause.AMBIGUOUS: -4},
        {Cause.AMBIGUOUS: 4, Cause.TOP_UP: 496},
    ]


def test_a_late_answer_is_looked_for_in_all_intervals_since_it_was_sent() -> None:
    hours = [interval(0), interval(-4, number=1), interval(0, 4, number=2)]

    found = explain(hours, late=[Late(generation_id=A, taken_in=0, booked_in=2, credits=4)])

    assert [each.amounts for each in found] == [{}, {Cause.DOUBT: -4}, {Cause.DOUBT: 4}]


def test_a_late_answer_with_two_falls_since_it_was_sent_is_blamed_for_neither() -> None:
    hours = [interval(-4), interval(-4, number=1), interval(0, 4, number=2)]

    found = explain(hours, late=[Late(generation_id=A, taken_in=0, booked_in=2, credits=4)])

    assert [each.amounts for each in found] == [{Cause.AMBIGUOUS: -4}, {Cause.AMBIGUOUS: -4}, {Cause.DOUBT: 4}]


def test_a_fall_before_a_top_up_is_not_taken_for_timing() -> None:
    border = Border(spent_after=40)

    found = explain([interval(-7, end=border), interval(460, 40, start=border, number=1)])

    assert [each.amounts for each in found] == [
        {Cause.AMBIGUOUS: -7},
        {Cause.AMBIGUOUS: 7, Cause.TOP_UP: 493},
    ]


def test_a_balance_below_zero_is_two_movements_and_not_one() -> None:
    found = explain([interval(-20, before=10), interval(500, before=-10, number=1)])

    assert [each.amounts for each in found] == [{Cause.OUTSIDE: -20}, {Cause.TOP_UP: 500}]


def test_a_hold_that_was_never_answered_explains_no_rise_and_nothing_of_another_day() -> None:
    doubts = [
        Doubt(generation_id=A, held_at=NOON - timedelta(days=1), credits=4),
        Doubt(generation_id=A, held_at=NOON, credits=4),
    ]

    found = explain([interval(0), interval(-8, number=5)], doubts=doubts)

    assert [each.amounts for each in found] == [{}, {Cause.OUTSIDE: -8}]


def test_a_late_answer_is_held_against_the_time_at_which_the_request_was_sent() -> None:
    hours = [interval(-4), interval(0, number=1), interval(0, 4, number=2)]

    found = explain(hours, late=[Late(generation_id=A, taken_in=0, booked_in=2, credits=4)])

    assert [each.amounts for each in found] == [{Cause.DOUBT: -4}, {}, {Cause.DOUBT: 4}]


def test_without_an_interval_there_is_nothing_to_explain() -> None:
    assert explain([]) == ()


def test_a_late_answer_that_the_wallet_shows_where_it_was_booked_is_looked_for_nowhere_else() -> None:
    hours = [interval(-4), interval(-4, 4, number=1)]

    found = explain(hours, late=[Late(generation_id=A, taken_in=0, booked_in=1, credits=4)])

    assert [each.amounts for each in found] == [{Cause.OUTSIDE: -4}, {}]


def test_of_two_late_answers_one_fall_explains_one_and_the_other_stays_where_it_was_booked() -> None:
    hours = [interval(-4), interval(0, 4, number=1), interval(0, 4, number=2)]
    late = [Late(generation_id=each, taken_in=0, booked_in=hour, credits=4) for each, hour in ((A, 1), (B, 2))]

    found = explain(hours, late=late)

    assert [sum(each.amounts.values()) for each in found] == [-4, 4, 4]
    assert [each.amount(Cause.UNEXPLAINED) for each in found] == [0, 0, 4]


CHANGES = st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), max_size=5)
HOURS = st.integers(0, 4)


@given(
    CHANGES,
    st.lists(st.tuples(HOURS, HOURS, st.integers(1, 8), st.booleans()), max_size=3),
    st.lists(st.tuples(HOURS, st.integers(-8, 8), st.booleans()), max_size=3),
)
def test_the_causes_of_every_interval_add_up_to_its_change_and_ours(
    changes: list[tuple[int, int]],
    late: list[tuple[int, int, int, bool]],
    doubts: list[tuple[int, int, bool]],
) -> None:
    hours = [interval(change, ours, number=number) for number, (change, ours) in enumerate(changes)]

    found = explain(
        hours,
        late=[
            Late(generation_id=A, taken_in=min(a, b), booked_in=max(a, b), credits=moved, is_release=is_release)
            for a, b, moved, is_release in late
            if max(a, b) < len(hours)
        ],
        doubts=[
            Doubt(generation_id=B, held_at=NOON + timedelta(hours=hour), credits=moved, is_decided=is_decided)
            for hour, moved, is_decided in doubts
        ],
        top_up_from=10,
    )

    assert [sum(each.amounts.values()) for each in found] == [each.unexpected for each in hours]
