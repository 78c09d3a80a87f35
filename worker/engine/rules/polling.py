"""When to ask the provider about a generation again."""

from dataclasses import dataclass
from datetime import timedelta

from worker.engine.rules.latency import Histogram

OVERDUE_AFTER = timedelta(minutes=15)
"""From this age on a generation is overdue: it is asked about rarely, and reported."""

DOUBT_AFTER = timedelta(days=1)
"""From this age on nobody expects an answer any more."""

YOUNG = timedelta(minutes=1)
"""Up to this age an unknown id may be one that the provider has not yet made visible."""

LONGEST_GAP = timedelta(minutes=1)
"""No generation is left alone for longer, however rarely they end at its age."""


@dataclass(frozen=True, kw_only=True)
class PollSchedule:
    """The provider's documented pace: first after 2 to 3 s, then every 5 to 10 s (api-generation-status)."""

    first: timedelta
    gap: timedelta

    def wait(self, *, age: timedelta, polls: int) -> timedelta:
        """Return the wait before the next poll of a generation that is ``age`` old and was polled so often.

        The gap grows from the documented lower to the documented upper pace, and to a minute once overdue.
        """
        if polls == 0:
            return self.first
        if age >= OVERDUE_AFTER:
            return max(self.gap, LONGEST_GAP)
        return min(self.gap * (1 + max(0, polls - 2) / 6), self.gap * 2)


@dataclass(frozen=True, kw_only=True)
class LearnedSchedule:
    """Polls where generations are known to end, never faster than documented.

    The first poll comes when a sixth has ended. After it the gap balances the cost of a poll against the wait for an
    end that nobody has seen: the next poll comes when that wait, by what is known of all ages to come, is ``c`` seconds
    on average. Where the hazard rate ``h`` changes slowly that is ``gap(t) = sqrt(2c / h(t))`` (Keller 1974, optimum
    checking schedules); where nothing ends for a while it is soon after the next age at which something does. When
    requests are scarce a poll costs more: every poll saved is an image made.
    """

    documented: PollSchedule
    seen: Histogram
    scarcity: float = 0.0
    """From 0, every request finds a slot, to 1, all wait for one."""

    def wait(self, *, age: timedelta, polls: int) -> timedelta:
        """Return the wait before the next poll of a generation that is ``age`` old and was polled so often."""
        if not self.seen.is_known or age >= OVERDUE_AFTER:
            return self.documented.wait(age=age, polls=polls)
        expected = self.seen.smoothed()
        first = expected.quantile(0.16 + 0.71 * self.scarcity)
        if polls == 0 or age < first:
            return min(max(self.documented.first if polls == 0 else self.documented.gap, first - age), LONGEST_GAP)
        gap = expected.gap(age, undetected_s=0.3 + 3.0 * self.scarcity)
        if gap is None:
            return self.documented.wait(age=age, polls=polls)
        return max(self.documented.gap, min(gap, LONGEST_GAP))
