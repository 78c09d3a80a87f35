"""When to poll a generation whose end the provider's webhooks may report: learned from how many come, and how late."""

from dataclasses import dataclass, field
from datetime import timedelta

from worker.engine.rules import ranking
from worker.engine.rules.polling import ENOUGH, LONGEST_GAP, MEMORY, OVERDUE_AFTER, Histogram, LearnedSchedule
from worker.engine.rules.ranking import Ends

PROMPT = timedelta(seconds=5)
"""A webhook that comes later than this after the end counts as lost: polls notice the end as soon."""
MISSED_AT_THE_LEAST = timedelta(seconds=1)
"""So long after the end no webhook is called overdue, however early the others came."""
CLOCKS_DISAGREE = timedelta(seconds=2)
"""A webhook may seem to come so much before the end that it reports."""
BROKEN_AFTER = 10
"""So many lost webhooks in a row mean that they no longer come: what was known of them is forgotten."""
MOST_PER_GENERATION = 3
"""Webhooks that may bring the poll of one generation forward: the true one, and a few that come early or twice."""
_WORTH_S = 2.5
"""Seconds of detection lag that are accepted to save a poll where every webhook comes: nearly all polls before they are
overdue would find nothing."""
_FEWEST_LOST = 0.5
"""Lost webhooks that are assumed beside those that were seen, so that a share of nought is never believed."""
_ROUNDS = 24
"""Halvings of the span in which the next poll is looked for: to less than a ten-thousandth of it."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What an account's generations have shown of its webhooks, forgetting as latencies are forgotten."""

    delays: Histogram = field(default_factory=Histogram)
    """From the end of a generation to the arrival of its webhook."""
    missed: float = 0.0
    """Ends whose webhook was overdue, or never came."""
    missed_in_row: int = 0
    """The same since one last came."""

    @property
    def total(self) -> float:
        """The number of ends that it counts."""
        return self.delays.total + self.missed

    @property
    def lost_share(self) -> float:
        """Return how many webhooks do not come in time, from 0 to 1; 1 while little is known, or none comes."""
        if self.total < ENOUGH or self.delays.total <= 0:
            return 1.0
        return min((self.missed + _FEWEST_LOST) / self.total, 1.0)

    @property
    def overdue_after(self) -> timedelta:
        """Return the time after an end at which its webhook is overdue."""
        if self.delays.total <= 0:
            return PROMPT
        return min(max(self.delays.quantile(0.99), MISSED_AT_THE_LEAST), PROMPT)

    def observe(self, seen: "Observation") -> "Hints":
        """Count the end of one generation."""
        delay = seen.delay
        if delay is not None and delay <= PROMPT:
            kept = self.missed * (1 - 1 / MEMORY)
            return Hints(delays=self.delays.observe(delay, delay), missed=kept)
        if delay is None and seen.waited < self.overdue_after:
            return self
        return self._without()

    def _without(self) -> "Hints":
        in_row, missed = self.missed_in_row + 1, self.missed * (1 - 1 / MEMORY) + 1
        delays = Histogram() if in_row >= BROKEN_AFTER else self.delays.decayed()
        return Hints(delays=delays, missed=missed, missed_in_row=in_row)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one generation that has succeeded says of webhooks."""

    waited: timedelta
    """From its end to the poll that saw it."""
    delay: timedelta | None
    """From its end to its webhook; None: none had come when the poll was begun."""


def observation(*, took: timedelta, polled: timedelta, hinted: timedelta | None) -> Observation:
    """Return it from the ages of a generation at its end, at the poll that saw it, and at its webhook."""
    waited = max(polled - took, timedelta(0))
    if hinted is None or hinted < took - CLOCKS_DISAGREE:
        return Observation(waited=waited, delay=None)
    return Observation(waited=waited, delay=max(hinted - took, timedelta(0)))


@dataclass(frozen=True, kw_only=True)
class HintedSchedule:
    """Polls for what webhooks do not report, never earlier than a schedule that knows of none.

    A generation whose webhook has not come either has not ended or belongs to the share that is lost. Only of the lost
    ones ends are undetected, at their share of the hazard rate; and a poll is made only if no webhook comes before it.
    So the next poll is due when the time for which a lost one has on average been ended reaches the price of a poll,
    weighed by the chance that the poll is made. Where every webhook is lost that is the schedule without them.
    """

    usual: LearnedSchedule
    hints: Hints

    def wait(self, *, age: timedelta, polls: int) -> timedelta:
        """Return the wait before the next poll of a generation that is ``age`` old and was polled so often."""
        wait = self.usual.wait(age=age, polls=polls)
        lost = self.hints.lost_share
        if lost >= 1 or age >= OVERDUE_AFTER or not self.usual.seen.is_known:
            return wait
        known = ranking.ends(self.usual.seen.smoothed())
        return wait if known is None else max(wait, self._until_overdue(known, age, lost))

    def _until_overdue(self, known: Ends, age: timedelta, lost: float) -> timedelta:
        """Find by halving when a poll pays; the lag grows with time, and the chance that it is made falls."""
        since_s, delay_s = age.total_seconds(), self.hints.overdue_after.total_seconds()
        price_s = lost * self.usual.detection_lag_s + (1 - lost) * _WORTH_S
        low_s, high_s = 0.0, max(OVERDUE_AFTER - age, LONGEST_GAP).total_seconds()
        for _ in range(_ROUNDS):
            wait_s = (low_s + high_s) / 2
            lag_s = lost * known.detection_lag_s(looked_s=since_s, age_s=since_s + wait_s)
            reported = (1 - lost) * known.share(looked_s=since_s, age_s=since_s + max(wait_s - delay_s, 0.0))
            if lag_s >= price_s * (1 - reported):
                high_s = wait_s
            else:
                low_s = wait_s
        return timedelta(seconds=high_s)
