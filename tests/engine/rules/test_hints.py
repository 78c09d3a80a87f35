import math
from datetime import timedelta
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.rules.hints import BROKEN_AFTER, PROMPT, HintedSchedule, Hints, Observation, observation
from worker.engine.rules.polling import OVERDUE_AFTER, Histogram, LearnedSchedule, PollSchedule, merged

DOCUMENTED = PollSchedule(first=timedelta(seconds=2.5), gap=timedelta(seconds=5))
CAME = Observation(waited=timedelta(seconds=0.3), delay=timedelta(seconds=0.2))
MISSED = Observation(waited=timedelta(seconds=8), delay=None)
ENDS = st.builds(
    Observation,
    waited=st.floats(0, 60).map(lambda s: timedelta(seconds=s)),
    delay=st.none() | st.floats(0, 60).map(lambda s: timedelta(seconds=s)),
)
AGES = st.floats(0, 2 * OVERDUE_AFTER.total_seconds()).map(lambda s: timedelta(seconds=s))


def learned(*ends: Observation) -> Hints:
    return reduce(Hints.observe, ends, Hints())


def around_20_s() -> Histogram:
    latencies = [timedelta(seconds=20 * math.exp(0.35 * (k - 50) / 25)) for k in range(101)]
    return merged(Histogram(), [(each, each) for each in latencies])


def usual(seen: Histogram | None = None) -> LearnedSchedule:
    return LearnedSchedule(documented=DOCUMENTED, seen=around_20_s() if seen is None else seen)


def first_poll_s(hints: Hints) -> float:
    return HintedSchedule(usual=usual(), hints=hints).wait(age=timedelta(0), polls=0).total_seconds()


RELIABLE = learned(*[CAME] * 300, MISSED, *[CAME] * 100)


def test_where_webhooks_come_the_first_poll_is_made_when_nearly_all_have_ended() -> None:
    assert 30 < first_poll_s(RELIABLE) < 60


def test_where_half_are_lost_the_first_poll_is_earlier() -> None:
    assert first_poll_s(learned(*[CAME, MISSED] * 100)) < first_poll_s(RELIABLE)


@pytest.mark.parametrize("hints", [Hints(), learned(*[MISSED] * 100), learned(*[CAME] * 19)])
def test_where_none_comes_or_little_is_known_polls_are_as_without_webhooks(hints: Hints) -> None:
    schedule = HintedSchedule(usual=usual(), hints=hints)

    waits = [schedule.wait(age=timedelta(seconds=age), polls=polls) for polls, age in enumerate(range(0, 120, 7))]

    assert waits == [usual().wait(age=timedelta(seconds=a), polls=p) for p, a in enumerate(range(0, 120, 7))]


def test_webhooks_that_stop_are_noticed_after_a_few_in_a_row() -> None:
    stopped = learned(*[CAME] * 500, *[MISSED] * BROKEN_AFTER)

    assert stopped.lost_share == 1.0


def test_webhooks_that_come_again_are_believed_again() -> None:
    again = learned(*[CAME] * 500, *[MISSED] * 100, *[CAME] * 1_000)

    assert again.lost_share < 0.1


def test_a_webhook_that_comes_long_after_the_end_counts_as_lost() -> None:
    late = Observation(waited=timedelta(seconds=20), delay=PROMPT + timedelta(seconds=1))

    assert learned(*[late] * 50).lost_share == 1.0


def test_an_end_that_was_seen_before_its_webhook_was_due_says_nothing() -> None:
    early = Observation(waited=timedelta(seconds=0.1), delay=None)

    assert RELIABLE.observe(early) == RELIABLE


def test_the_share_that_is_lost_is_found() -> None:
    one_in_ten = learned(*([CAME] * 9 + [MISSED]) * 60)

    assert one_in_ten.lost_share == pytest.approx(0.1, abs=0.03)


def test_a_webhook_before_the_end_is_none_of_the_end() -> None:
    seen = observation(took=timedelta(seconds=20), polled=timedelta(seconds=26), hinted=timedelta(seconds=5))

    assert seen == Observation(waited=timedelta(seconds=6), delay=None)


def test_a_clock_that_is_a_little_off_makes_no_delay_below_nought() -> None:
    seen = observation(took=timedelta(seconds=20), polled=timedelta(seconds=21), hinted=timedelta(seconds=19.5))

    assert seen.delay == timedelta(0)


@settings(deadline=None)
@given(st.lists(ENDS, max_size=40), AGES, st.integers(0, 20))
def test_webhooks_never_make_a_poll_earlier_nor_put_it_off_for_ever(
    ends: list[Observation], age: timedelta, polls: int
) -> None:
    schedule = HintedSchedule(usual=usual(), hints=learned(*ends))

    wait = schedule.wait(age=age, polls=polls)

    assert usual().wait(age=age, polls=polls) <= wait <= OVERDUE_AFTER


@given(st.lists(ENDS, max_size=200))
def test_the_lost_share_is_a_share(ends: list[Observation]) -> None:
    assert 0 <= learned(*ends).lost_share <= 1
