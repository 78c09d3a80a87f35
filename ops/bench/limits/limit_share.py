"""How much of the provider's limit is used, and how many requests it refuses."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground, Sandbox
from ops.bench.limits import neighbour
from ops.bench.limits.neighbour import Neighbour
from ops.sandbox.choices import RateAlgorithm, RetryAfter

RATES, QUICK_RATES = (5, 20, 100), (20,)
LATENCY_S = 3.0
SET_WARM_UP_S, AUTO_WARM_UP_S = 15.0, 60.0
MEASURED_S, QUICK_MEASURED_S = 40.0, 20.0
_PACED = ("create", "get", "upload", "credits")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One limit of the provider, and what the node is told about it."""

    rate: float
    algorithm: RateAlgorithm
    is_auto: bool
    measured_s: float
    window_s: float = 1.0
    latency_s: float = LATENCY_S
    retry_after: RetryAfter = RetryAfter.SECONDS
    has_neighbour: bool = False

    @property
    def left(self) -> float:
        """Return the requests per second that a neighbour leaves over."""
        return self.rate * (1 - neighbour.SHARE) if self.has_neighbour else self.rate


@dataclass(frozen=True, kw_only=True)
class Share:
    """What came of a case."""

    case: Case
    share: float
    """Requests that were answered, by what the limit would have permitted."""
    refused: float
    """429s by all requests, while it was measured."""
    refused_before: int
    """429s of the warm-up, in which ``auto`` looks for the limit."""
    images_per_second: float


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure the low rates at the same time, the highest by itself: each with a sandbox, a database and a node."""
    rates, measured_s = (QUICK_RATES, QUICK_MEASURED_S) if is_quick else (RATES, MEASURED_S)
    algorithms = (RateAlgorithm.FIXED_WINDOW,) if is_quick else tuple(RateAlgorithm)
    shares: list[Share] = []
    for algorithm in algorithms:
        for is_auto in (False, True):
            cases = [Case(rate=rate, algorithm=algorithm, is_auto=is_auto, measured_s=measured_s) for rate in rates]
            # A node that shares two cores with others is late by as much as the gaps of a high rate are long.
            for together in filter(None, (cases[:-1], cases[-1:])):
                shares += side_by_side(place, together)
    return Finding(
        name="limit",
        title="Share of the provider's limit",
        method=(
            f"Median latency {LATENCY_S:g} s, a limit of R requests per second; one node each, the highest rate by"
            " itself and the others side by side."
            f" With `DARKROOM_RATE=R` measured for {measured_s:g} s after {SET_WARM_UP_S:g} s; with `auto`, which does"
            f" not know R, after {AUTO_WARM_UP_S:g} s."
        ),
        columns=("R", "counted by", "`DARKROOM_RATE`", "share of R", "429s", "429s before", "images/s"),
        rows=[row(share) for share in shares],
        figures={"shares": shares},
    )


def side_by_side(place: Ground, cases: Sequence[Case]) -> list[Share]:
    """Measure these cases at the same time."""
    interrupted = threading.Event()
    with ThreadPoolExecutor(len(cases)) as pool:
        running = [
            pool.submit(_measure, place, case, interrupted, broker=5 + number) for number, case in enumerate(cases)
        ]
        try:
            return [one.result() for one in running]
        except BaseException:
            interrupted.set()
            raise


def _measure(place: Ground, case: Case, interrupted: threading.Event, *, broker: int) -> Share:
    """Let a node work on more than it can do, and count what the sandbox saw."""
    shared = "shared" if case.has_neighbour else "alone"
    name = f"limit_{broker}_{case.algorithm}_{'auto' if case.is_auto else 'set'}_{case.latency_s:g}_{shared}"
    warm_up_s = AUTO_WARM_UP_S if case.is_auto else SET_WARM_UP_S
    settings = {
        "DARKROOM_RATE": "auto" if case.is_auto else str(case.left),
        "DARKROOM_MAX_IN_FLIGHT": "2000",
    }
    with (
        ground.sandbox(
            rate_limit=round(case.rate * case.window_s),
            rate_window_s=case.window_s,
            rate_algorithm=case.algorithm.value,
            retry_after=case.retry_after.value,
            latency_median_s=case.latency_s,
        ) as provider,
        neighbour.using(provider, per_s=case.rate - case.left) as others,
        node.darkroom(place, provider, name=name, broker=broker, **settings) as room,
    ):
        # Each image takes at least two requests, so the work outlasts the time.
        room.submit(int(case.rate * (warm_up_s + case.measured_s)) + 50, name=name)
        with room.node():
            _let_pass(warm_up_s, interrupted)
            before, started = _requests(provider, others), time.monotonic()
            _let_pass(case.measured_s, interrupted)
            after, seconds = _requests(provider, others), time.monotonic() - started
    return _share(case, before, after, seconds)


def _let_pass(seconds: float, interrupted: threading.Event) -> None:
    if interrupted.wait(seconds):
        raise ground.Stuck("it was interrupted")


def _share(case: Case, before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> Share:
    seen = {name: after[name] - before[name] for name in after}
    answered = seen["all"] - seen["refused"]
    return Share(
        case=case,
        share=answered / (case.left * seconds),
        refused=seen["refused"] / max(1, seen["all"]),
        refused_before=before["refused"],
        images_per_second=seen["downloads"] / seconds,
    )


def _requests(provider: Sandbox, others: Neighbour) -> dict[str, int]:
    """Count the node's requests that the limit is about, those that it refused, and the images fetched."""
    by_kind = provider.books()["requests"]
    paced = [by_kind[kind] for kind in _PACED if kind in by_kind]
    return {
        "all": sum(kind["total"] for kind in paced) - others.sent,
        "refused": sum(kind.get("429", 0) for kind in paced) - others.refused,
        "downloads": by_kind.get("download", {}).get("total", 0),
    }


def row(share: Share) -> tuple[str, ...]:
    """Return the cells of a case."""
    case = share.case
    return (
        f"{case.rate:g}",
        case.algorithm.value.replace("_", " "),
        "auto" if case.is_auto else f"{case.left:.3g}",
        f"{share.share:.1%}",
        f"{share.refused:.2%}",
        str(share.refused_before),
        f"{share.images_per_second:.1f}",
    )
