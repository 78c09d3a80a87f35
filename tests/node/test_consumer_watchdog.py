from datetime import UTC, datetime, timedelta

import pytest

from worker.node.consumer_watchdog import GRACE_PERIOD, Action, Stall, judge

NOW = datetime(2026, 5, 11, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def test_a_node_that_receives_is_left_alone() -> None:
    assert judge(Stall(), is_stalled=False, now=NOW) == (Stall(), None)


def test_the_first_silence_is_only_remembered() -> None:
    assert judge(Stall(), is_stalled=True, now=NOW) == (Stall(since=NOW), None)


@pytest.mark.parametrize(
    ("tried", "remedy"),
    [(0, Action.RECONNECT), (1, Action.SHUT_DOWN), (2, Action.EXIT), (3, Action.EXIT)],
)
def test_each_action_has_the_whole_grace_period_to_work_before_the_next(tried: int, remedy: Action) -> None:
    before = Stall(since=NOW, tried=tried)

    early = judge(before, is_stalled=True, now=NOW + GRACE_PERIOD - MOMENT)
    due = judge(before, is_stalled=True, now=NOW + GRACE_PERIOD)

    assert early == (before, None)
    assert due == (Stall(since=NOW + GRACE_PERIOD, tried=tried + 1), remedy)


def test_a_node_that_receives_again_starts_with_the_mildest_action() -> None:
    before = Stall(since=NOW, tried=1)

    assert judge(before, is_stalled=False, now=NOW + MOMENT) == (Stall(), None)
