"""Limits that are low: a few requests in ten seconds, alone and beside a neighbour, and one without `Retry-After`."""

from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.limits import limit_share, neighbour
from ops.bench.limits.limit_share import Case
from ops.sandbox.choices import RateAlgorithm, RetryAfter

RATES, QUICK_RATES = (0.5, 1.0, 2.0), (2.0,)
WINDOW_S = 10.0
LATENCY_S = 6.0
REQUESTS, QUICK_REQUESTS = 240, 60
"""So many requests are measured: with fewer a single 429 is more than a percent."""


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure all rates and windows of a kind at the same time, each with a sandbox, a database and a node."""
    rates, requests = (QUICK_RATES, QUICK_REQUESTS) if is_quick else (RATES, REQUESTS)
    algorithms = (
        (RateAlgorithm.FIXED_WINDOW,) if is_quick else (RateAlgorithm.FIXED_WINDOW, RateAlgorithm.SLIDING_WINDOW)
    )
    kinds = ((True, False), (False, False), (True, True))
    cases = [
        [
            _case(rate, algorithm, is_auto=is_auto, has_neighbour=has_neighbour, requests=requests)
            for algorithm in algorithms
            for rate in rates
        ]
        for is_auto, has_neighbour in kinds
    ]
    if not is_quick:
        cases.append([_without_retry_after()])
    shares = [share for together in cases for share in limit_share.side_by_side(place, together)]
    return Finding(
        name="low_limits",
        title="Share of a low limit",
        method=(
            f"R requests per second, counted over {WINDOW_S:g} s, median latency {LATENCY_S:g} s, and at the end R = 40"
            " over a second with 3 s, where 429s have no `Retry-After`. Measured for"
            f" {requests} requests (a minute at least) after {limit_share.AUTO_WARM_UP_S:g} s of learning, or"
            f" {limit_share.SET_WARM_UP_S:g} s with a set rate. A neighbour takes {neighbour.SHARE:.0%} of R at"
            " random instants; the share is of what it leaves over."
        ),
        columns=("R", "counted by", "`DARKROOM_RATE`", "share", "429s", "429s before", "images/s", "neighbour"),
        rows=[(*limit_share.row(share), "yes" if share.case.has_neighbour else "no") for share in shares],
        figures={"shares": shares},
    )


def _case(rate: float, algorithm: RateAlgorithm, *, is_auto: bool, has_neighbour: bool, requests: int) -> Case:
    return Case(
        rate=rate,
        algorithm=algorithm,
        is_auto=is_auto,
        measured_s=max(60.0, requests / rate),
        window_s=WINDOW_S,
        latency_s=LATENCY_S,
        has_neighbour=has_neighbour,
    )


def _without_retry_after() -> Case:
    return Case(
        rate=40.0,
        algorithm=RateAlgorithm.FIXED_WINDOW,
        is_auto=True,
        measured_s=limit_share.MEASURED_S,
        retry_after=RetryAfter.ABSENT,
    )
