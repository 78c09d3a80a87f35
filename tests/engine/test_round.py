from datetime import UTC, datetime, timedelta

import pytest

from worker.accounts.rules import pace
from worker.engine.dispatch import GATHER_WHILE_BUSY, LONGEST_WAIT, Round

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def test_the_next_round_is_when_something_becomes_due() -> None:
    assert Round(began_at=NOW, look_again_at=NOW + 70 * MS).wait(NOW + 20 * MS, is_busy=False) == 50 * MS


def test_no_dispatcher_waits_longer_than_a_second_for_what_is_due_later_or_unknown() -> None:
    later = Round(began_at=NOW, look_again_at=NOW + timedelta(hours=1))

    assert later.wait(NOW, is_busy=False) == LONGEST_WAIT
    assert Round(began_at=NOW).wait(NOW, is_busy=True) == LONGEST_WAIT


def test_while_all_threads_are_busy_a_round_waits_longer_for_more() -> None:
    assert Round(began_at=NOW, look_again_at=NOW + 50 * MS).wait(NOW, is_busy=True) == GATHER_WHILE_BUSY


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_round_whose_tickets_took_longer_to_publish_than_that_is_followed_at_once(*, is_busy: bool) -> None:
    """Else slots of the pace go unused: a round gives away those of a quarter of a second."""
    done = Round(began_at=NOW, look_again_at=NOW + 50 * MS)

    assert done.wait(NOW + pace.HORIZON, is_busy=is_busy) == timedelta(0)
