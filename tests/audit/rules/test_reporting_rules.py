"""The arithmetic of the reports."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.audit.rules.reporting import AgeClass, Reservation, age_class, settlement_rate
from worker.ledger.rules.entries import Balance, CreditAccount, EntryKind, Flow, corrections

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=-1), AgeClass.HOUR),
        (timedelta(minutes=59, seconds=59), AgeClass.HOUR),
        (timedelta(hours=1), AgeClass.DAY),
        (timedelta(hours=24), AgeClass.WEEK),
        (timedelta(days=7), AgeClass.OLDER),
    ],
)
def test_an_age_on_a_border_belongs_to_the_older_class(age: timedelta, expected: AgeClass) -> None:
    assert age_class(age) is expected


def test_a_closing_is_the_opening_with_all_that_moved() -> None:
    opening = Balance(held=8, reserved=4, spent=100)
    flows = [
        Flow(kind=EntryKind.RESERVE, source=CreditAccount.HELD, target=CreditAccount.RESERVED, entries=2, credits=8),
        Flow(kind=EntryKind.SETTLE, source=CreditAccount.RESERVED, target=CreditAccount.SPENT, entries=1, credits=4),
    ]

    assert opening.after(flows) == Balance(held=0, reserved=8, spent=104)


def test_a_correction_counts_for_both_of_its_accounts() -> None:
    flow = Flow(kind=EntryKind.CORRECT, source=CreditAccount.HELD, target=CreditAccount.SPENT, entries=1, credits=4)

    assert corrections([flow]) == {CreditAccount.HELD: -4, CreditAccount.RESERVED: 0, CreditAccount.SPENT: 4}


@pytest.mark.parametrize(
    ("matched_after", "age", "counted"),
    [
        (timedelta(minutes=5), timedelta(minutes=6), (4, 4)),
        (HOUR, 2 * HOUR, (4, 4)),
        (2 * HOUR, 3 * HOUR, (4, 0)),
        (None, 2 * HOUR, (4, 0)),
        (None, timedelta(minutes=6), (0, 0)),
    ],
    ids=["quick", "just in time", "late", "never", "still has time"],
)
def test_only_what_has_had_its_time_counts_as_unmatched(
    matched_after: timedelta | None, age: timedelta, counted: tuple[int, int]
) -> None:
    matched_at = None if matched_after is None else NOON + matched_after
    reservation = Reservation(credits=4, reserved_at=NOON, matched_at=matched_at)

    found = settlement_rate([reservation], within=HOUR, as_of=NOON + age)

    assert (found.due, found.matched) == counted


def test_a_rate_of_nothing_is_not_shown() -> None:
    assert settlement_rate([], within=HOUR, as_of=NOON).share == ""


def test_the_rate_is_rounded_down_so_that_one_means_all() -> None:
    late = Reservation(credits=1, reserved_at=NOON, matched_at=None)
    quick = Reservation(credits=99_999, reserved_at=NOON, matched_at=NOON)

    assert settlement_rate([late, quick], within=HOUR, as_of=NOON + HOUR).share == "0.9999"
