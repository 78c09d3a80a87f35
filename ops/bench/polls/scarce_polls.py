"""Which polls to make when there are fewer slots than due polls: a simulation without clock or network.

A window that is always full: whenever an end is seen another generation begins. Every slot goes to a due poll, so that
both orders make the same number of polls; what differs is how late the ends are seen, and so how many images there are.
"""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ops.bench.findings import Finding
from ops.bench.polls import polling, schedules
from ops.bench.polls.polling import Latencies
from ops.bench.polls.schedules import Schedule
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import StepKind
from worker.engine.rules.polling import Histogram
from worker.engine.rules.ranking import Due, ranked

WINDOW = 200
SECONDS, QUICK_SECONDS = 1_200, 240
WARM_UP_S = 120
MIXES: Mapping[str, tuple[Latencies, ...]] = {
    "20 s, sigma 0.35": (Latencies(median_s=20.0, sigma=0.35),),
    "20 s, sigma 0.8": (Latencies(median_s=20.0, sigma=0.8),),
    "half 3 s, half 60 s, sigma 0.35": (Latencies(median_s=3.0, sigma=0.35), Latencies(median_s=60.0, sigma=0.35)),
}
RATES = (4, 8)
_START = datetime(2026, 1, 1, tzinfo=UTC)
_SEED = 1


@dataclass(kw_only=True)
class _Open:
    """One generation of the window."""

    kind: int
    began_s: float
    ends_s: float
    due_s: float
    looked_s: float | None = None
    polls: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one order."""

    polls: int
    images: int
    lag_s: float
    """Mean wait from the end to the poll that saw it."""
    p95_s: float


def play(mix: Sequence[Latencies], *, rate: float, seconds: float, is_ranked: bool) -> Outcome:
    """Return each slot to the poll that is due longest, or to the one that is worth most."""
    chance = random.Random(_SEED)
    known = [polling.taught(latencies, is_told=True) for latencies in mix]
    waits = [schedules.learned(seen) for seen in known]
    window = [_begin(chance, mix, waits, 0.0) for _ in range(WINDOW)]
    lags: list[float] = []
    polls = 0
    for slot in range(int(seconds * rate)):
        now_s = slot / rate
        due = [n for n, one in enumerate(window) if one.due_s <= now_s]
        if not due:
            continue
        chosen = _best(window, due, known, now_s) if is_ranked else min(due, key=lambda n: window[n].due_s)
        one = window[chosen]
        polls += now_s >= WARM_UP_S
        if one.ends_s > now_s:
            one.looked_s, one.polls = now_s, one.polls + 1
            one.due_s = now_s + waits[one.kind](now_s - one.began_s, one.polls)
            continue
        if now_s >= WARM_UP_S:
            lags.append(now_s - one.ends_s)
        window[chosen] = _begin(chance, mix, waits, now_s)
    return Outcome(
        polls=polls, images=len(lags), lag_s=statistics.fmean(lags), p95_s=statistics.quantiles(lags, n=20)[-1]
    )


def _begin(chance: random.Random, mix: Sequence[Latencies], waits: Sequence[Schedule], now_s: float) -> _Open:
    kind = chance.randrange(len(mix))
    took_s = mix[kind].median_s * 2.718281828 ** chance.gauss(0, mix[kind].sigma)
    return _Open(kind=kind, began_s=now_s, ends_s=now_s + took_s, due_s=now_s + waits[kind](0.0, 0))


def _best(window: Sequence[_Open], due: Sequence[int], known: Sequence[Histogram], now_s: float) -> int:
    """Choose as the dispatcher does."""
    steps = [
        Due(
            job_id=UUID(int=n),
            kind=StepKind.POLL,
            priority=Priority.BULK,
            due_at=_at(window[n].due_s),
            since=_at(window[n].began_s),
            looked_at=None if (looked_s := window[n].looked_s) is None else _at(looked_s),
            model=str(window[n].kind),
            has_reference=False,
        )
        for n in due
    ]
    order = ranked(steps, lambda model, _: known[int(model)], now=_at(now_s))
    return order[Priority.BULK][0].int


def _at(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)


def run(*, is_quick: bool) -> Finding:
    """Compare both orders for each mix of latencies and each rate."""
    rows, figures = [], {}
    for name, mix in MIXES.items():
        for rate in RATES:
            seconds = QUICK_SECONDS if is_quick else SECONDS
            first, best = (play(mix, rate=rate, seconds=seconds, is_ranked=ranked_) for ranked_ in (False, True))
            figures[f"{name}, {rate}/s"] = {"longest due": first, "worth most": best}
            rows += [_row(name, rate, "longest due", first), _row(name, rate, "worth most", best)]
    return Finding(
        name="scarce",
        title="Which polls to make when requests are scarce",
        method=(
            f"A simulation: a window that always holds {WINDOW} generations, log-normal latencies, a fixed rate of"
            " polls, the learned schedule. *Longest due*: first come, first served."
            " *Worth most*: by the expected time since an undetected end"
            " (worker/engine/rules/ranking.py)."
        ),
        columns=("median", "polls/s", "order", "polls", "images", "mean lag", "p95 lag"),
        rows=rows,
        figures=figures,
    )


def _row(name: str, rate: float, order: str, one: Outcome) -> tuple[str, ...]:
    return (
        name,
        f"{rate:g}",
        order,
        f"{one.polls:,}",
        f"{one.images:,}",
        f"{one.lag_s:.2f} s",
        f"{one.p95_s:.2f} s",
    )


if __name__ == "__main__":
    from ops.bench.findings import markdown

    print(markdown(run(is_quick=False)))
