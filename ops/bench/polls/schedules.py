"""Schedules of polls that are compared: each says how long to wait before the next poll."""

from collections.abc import Callable
from datetime import timedelta

from worker.engine.rules.polling import Histogram, LearnedSchedule, PollSchedule

Schedule = Callable[[float, int], float]
"""From the age in seconds and the number of polls so far to the seconds until the next poll."""

FIRST_S, GAP_S, LONGEST_S = 2.5, 5.0, 60.0
DOCUMENTED = PollSchedule(first=timedelta(seconds=FIRST_S), gap=timedelta(seconds=GAP_S))


def documented(age_s: float, polls: int) -> float:
    """Poll as a node does that has learned nothing, within what the provider's pages say: 2.5 s, then 5 s to 10 s."""
    return DOCUMENTED.wait(age=timedelta(seconds=age_s), polls=polls).total_seconds()


def constant(age_s: float, polls: int) -> float:  # noqa: ARG001 - one signature for all schedules
    """Poll as often as the provider's pages permit: 2.5 s after the create, then every 5 s."""
    return FIRST_S if polls == 0 else GAP_S


def fixed(gap_s: float) -> Schedule:
    """Poll at one interval."""
    return lambda _age_s, _polls: gap_s


def backoff(age_s: float, polls: int) -> float:  # noqa: ARG001 - one signature for all schedules
    """Wait twice as long each time, up to a minute."""
    return min(FIRST_S * 2.0**polls, LONGEST_S)


def learned(seen: Histogram, *, saturation: float = 0.0) -> Schedule:
    """Poll as a node does that has seen these latencies."""
    schedule = LearnedSchedule(documented=DOCUMENTED, seen=seen, saturation=saturation)
    return lambda age_s, polls: schedule.wait(age=timedelta(seconds=age_s), polls=polls).total_seconds()
