from datetime import UTC, datetime, timedelta

import pytest

from worker.accounts.rules import learned_rate
from worker.accounts.rules.learned_rate import BELIEVED_FOR, DISBELIEVED_FOR, StatedLimit

NOW = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONG = timedelta(minutes=15)
SAID = StatedLimit(said_at=NOW, resets_in=LONG)


@pytest.mark.parametrize(("wait", "closed_for"), [(10 * SECOND, 10 * SECOND), (LONG, BELIEVED_FOR)])
def test_the_key_is_closed_until_the_reset_but_for_a_minute_at_the_most(wait: timedelta, closed_for: timedelta) -> None:
    assert learned_rate.note_stated(StatedLimit(), wait=wait, now=NOW) == (
        StatedLimit(said_at=NOW, resets_in=wait),
        closed_for,
    )


@pytest.mark.parametrize("sent_at", [NOW + SECOND, NOW + 0.9 * LONG - SECOND])
def test_a_create_that_was_sent_when_none_should_be_accepted_disproves_it(sent_at: datetime) -> None:
    assert learned_rate.note_accepted(SAID, sent_at=sent_at, now=NOW + LONG) == StatedLimit(disproved_at=NOW + LONG)


@pytest.mark.parametrize(
    ("before", "sent_at"),
    [(StatedLimit(), NOW), (SAID, NOW - SECOND), (SAID, NOW), (SAID, NOW + 0.9 * LONG), (SAID, NOW + LONG)],
)
def test_one_that_was_sent_before_or_near_the_reset_says_nothing(before: StatedLimit, sent_at: datetime) -> None:
    assert learned_rate.note_accepted(before, sent_at=sent_at, now=NOW + LONG) is before


def test_what_was_disproved_is_ignored_for_a_quarter_of_an_hour() -> None:
    disproved = StatedLimit(disproved_at=NOW)

    during = learned_rate.note_stated(disproved, wait=SECOND, now=NOW + DISBELIEVED_FOR - SECOND)
    after = learned_rate.note_stated(disproved, wait=SECOND, now=NOW + DISBELIEVED_FOR)

    assert during == (disproved, None)
    assert after == (StatedLimit(said_at=NOW + DISBELIEVED_FOR, resets_in=SECOND), SECOND)
