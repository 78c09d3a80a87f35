"""What the provider's webhooks are worth: a simulation without clock or network, and a real run.

One limit for all requests and jobs without end, as at a provider whose limit decides. Each slot goes to a poll that a
webhook brought forward, else to one that is due, else to a create while the window has room.
"""

import heapq
import random
import statistics
from dataclasses import dataclass, field
from datetime import timedelta

from ops.bench.findings import Finding
from ops.bench.polls import schedules
from ops.bench.polls.polling import Latencies
from worker.accounts.rules import pace
from worker.engine.rules import hints
from worker.engine.rules.hints import HintedSchedule, Hints
from worker.engine.rules.polling import Histogram, LearnedSchedule

RATES = (2.0, 20.0)
LATENCIES = Latencies(median_s=20.0, sigma=0.35)
WINDOW = 500
DELAY_MEDIAN_S, DELAY_SIGMA = 0.1, 0.8
WARM_UP_IMAGES, IMAGES, QUICK_IMAGES = 400, 3_000, 600
_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """How the provider's webhooks behave, and whether requests that are scarce make polls rarer."""

    name: str
    lost: float
    """The share that does not come, from 0 to 1."""
    delay_median_s: float = DELAY_MEDIAN_S
    is_registered: bool = True
    """Whether an endpoint is registered, so that the schedule takes webhooks into account."""
    is_adaptive: bool = True


CASES = (
    Case(name="no endpoint, polls as if requests were plenty", lost=1.0, is_registered=False, is_adaptive=False),
    Case(name="no endpoint", lost=1.0, is_registered=False),
    Case(name="none comes", lost=1.0),
    Case(name="all come", lost=0.0),
    Case(name="1 % lost", lost=0.01),
    Case(name="10 % lost", lost=0.1),
    Case(name="half lost", lost=0.5),
    Case(name="1 % lost, 3 s late", lost=0.01, delay_median_s=3.0),
)


@dataclass(kw_only=True)
class _Open:
    """One generation of the window."""

    began_s: float
    ends_s: float
    hint_s: float | None
    due_s: float
    is_hinted: bool = False
    polls: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one case."""

    polls: float
    """On average for an image, the one that saw the end included."""
    lag_s: float
    """Mean wait from the end to the poll that saw it."""
    p99_s: float
    images_per_s: float


@dataclass(kw_only=True)
class Account:
    """What nodes have learned, and the window of one account."""

    case: Case
    rate: float
    latencies: Latencies
    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))
    seen: Histogram = field(default_factory=Histogram)
    known: Hints = field(default_factory=Hints)
    saturation: float = 0.0
    window: list[_Open] = field(default_factory=list)
    arrivals: list[tuple[float, int, _Open]] = field(default_factory=list)
    begun: int = 0
    polls: list[int] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def serve(self, now_s: float) -> None:
        """Use one slot for a poll; webhooks that arrived after it was assigned wait for the next slot."""
        decided_s = now_s - self._lead_s
        while self.arrivals and self.arrivals[0][0] <= decided_s:
            at_s, _, one = heapq.heappop(self.arrivals)
            if not one.is_hinted:
                one.is_hinted, one.due_s = True, min(one.due_s, at_s)
        due = [one for one in self.window if one.due_s <= decided_s]
        if due:
            self._poll(min(due, key=lambda one: (not one.is_hinted, one.due_s)), now_s)
        elif len(self.window) < WINDOW:
            self._create(now_s)
        if self.case.is_adaptive:
            self.saturation = pace.saturation(self.saturation, is_full=bool(due) or len(self.window) < WINDOW)

    @property
    def _lead_s(self) -> float:
        """How long before it begins a slot is handed out."""
        horizon_s = pace.HORIZON.total_seconds()
        return horizon_s if 1 / self.rate <= horizon_s else pace.LEAD.total_seconds()

    def _create(self, now_s: float) -> None:
        ends_s = now_s + self.latencies.median_s * 2.718281828 ** self.chance.gauss(0, self.latencies.sigma)
        hint_s = None
        if self.chance.random() >= self.case.lost:
            hint_s = ends_s + self.case.delay_median_s * 2.718281828 ** self.chance.gauss(0, DELAY_SIGMA)
        one = _Open(began_s=now_s, ends_s=ends_s, hint_s=hint_s, due_s=now_s + self._wait(0.0, 0))
        self.begun += 1
        self.window.append(one)
        if hint_s is not None:
            heapq.heappush(self.arrivals, (hint_s, self.begun, one))

    def _poll(self, one: _Open, now_s: float) -> None:
        one.polls += 1
        if one.ends_s > now_s:
            one.due_s = now_s + self._wait(now_s - one.began_s, one.polls)
            one.is_hinted = False
            return
        self.window.remove(one)
        self.polls.append(one.polls)
        self.lags.append(now_s - one.ends_s)
        self._learn(one, now_s)

    def _learn(self, one: _Open, now_s: float) -> None:
        took = timedelta(seconds=one.ends_s - one.began_s)
        self.seen = self.seen.observe(took, took)
        hinted = None if one.hint_s is None or one.hint_s > now_s else timedelta(seconds=one.hint_s - one.began_s)
        polled = timedelta(seconds=now_s - one.began_s)
        self.known = self.known.observe(hints.observation(took=took, polled=polled, hinted=hinted))

    def _wait(self, age_s: float, polls: int) -> float:
        usual = LearnedSchedule(documented=schedules.DOCUMENTED, seen=self.seen, saturation=self.saturation)
        schedule = HintedSchedule(usual=usual, hints=self.known) if self.case.is_registered else usual
        return schedule.wait(age=timedelta(seconds=age_s), polls=polls).total_seconds()


def play(case: Case, *, rate: float, images: int, latencies: Latencies = LATENCIES) -> Outcome:
    """Make so many images at so many requests a second, after some that teach the schedule."""
    account = Account(case=case, rate=rate, latencies=latencies)
    slot, began_s = 0, 0.0
    while len(account.lags) < WARM_UP_IMAGES + images:
        account.serve(slot / rate)
        if len(account.lags) <= WARM_UP_IMAGES:
            began_s = slot / rate
        slot += 1
    lags, polls = account.lags[WARM_UP_IMAGES:], account.polls[WARM_UP_IMAGES:]
    return Outcome(
        polls=statistics.fmean(polls),
        lag_s=statistics.fmean(lags),
        p99_s=statistics.quantiles(lags, n=100)[-1],
        images_per_s=images / (slot / rate - began_s),
    )


def run(*, is_quick: bool) -> Finding:
    """Compare all cases at each rate."""
    rows, figures = [], {}
    for rate in RATES:
        found = {case.name: play(case, rate=rate, images=QUICK_IMAGES if is_quick else IMAGES) for case in CASES}
        figures[f"{rate:g} requests/s"] = found
        rows += [_row(rate, name, one) for name, one in found.items()]
    return Finding(
        name="hinted",
        title="What webhooks are worth",
        method=(
            f"A simulation: jobs without end, a window of {WINDOW}, one limit for all requests, log-normal latencies of"
            f" {LATENCIES.median_s:g} s (sigma {LATENCIES.sigma:g}), webhooks {DELAY_MEDIAN_S:g} s after the end"
            f" (median, sigma {DELAY_SIGMA:g}) unless said otherwise. The schedule learns as it goes: {WARM_UP_IMAGES}"
            f" images teach it, {IMAGES:,} are counted. The poll that sees the end is one of the polls."
        ),
        columns=("requests/s", "webhooks", "polls per image", "mean lag", "p99 lag", "images/s"),
        rows=rows,
        figures=figures,
    )


def _row(rate: float, name: str, one: Outcome) -> tuple[str, ...]:
    return (
        f"{rate:g}",
        name,
        f"{one.polls:.3f}",
        f"{one.lag_s:.2f} s",
        f"{one.p99_s:.2f} s",
        f"{one.images_per_s:.2f}",
    )


if __name__ == "__main__":
    from ops.bench.findings import markdown

    print(markdown(run(is_quick=False)))
