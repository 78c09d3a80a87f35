"""Polls per image and how late an end is noticed, in a real run, beside the simulation and the theory."""

from typing import Any

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.polls import schedules
from ops.bench.polls.polling import Latencies, Score, score, taught

MEDIANS_S, QUICK_MEDIANS_S = (3.0, 20.0), (3.0,)
SIGMA = 0.35
LEARNED_FROM, IMAGES = 150, 300
"""The first images teach the node; only the others are counted."""
_SAMPLES = 4_000


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Let a node learn from some images, then measure others."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for median_s in QUICK_MEDIANS_S if is_quick else MEDIANS_S:
        latencies = Latencies(median_s=median_s, sigma=SIGMA)
        real = _measure(place, median_s)
        simulated = score(schedules.learned(taught(latencies, is_told=True)), latencies.quantiles(_SAMPLES))
        documented = score(schedules.documented, latencies.quantiles(_SAMPLES))
        rows += [_row(latencies, name, one) for name, one in _named(real, simulated, documented)]
        figures[f"median {median_s:g} s"] = {"real": real, "simulated": simulated, "documented": documented}
    return Finding(
        name="polls",
        title="Polls per image in a real run",
        method=(
            f"One node at 50 requests/s, log-normal latencies with sigma {SIGMA:g}; {LEARNED_FROM} images to learn"
            f" from, then {IMAGES} counted by the sandbox. A real lag has the wait for a slot and a thread in it."
        ),
        columns=("median", "", "polls per image", "mean lag", "p99 lag", "least lag"),
        rows=rows,
        figures=figures,
    )


def _named(real: Score, simulated: Score, documented: Score) -> list[tuple[str, Score]]:
    return [("real run", real), ("simulated", simulated), ("documented, simulated", documented)]


def _measure(place: Ground, median_s: float) -> Score:
    name = f"polls_{median_s:g}"
    settings = {"DARKROOM_RATE": "50", "DARKROOM_MAX_IN_FLIGHT": "1000"}
    with (
        ground.sandbox(latency_median_s=median_s, latency_sigma=SIGMA) as provider,
        node.darkroom(place, provider, name=name, broker=9, **settings) as room,
        room.node(),
    ):
        room.submit(LEARNED_FROM, name="lessons")
        room.wait(timeout_s=60 + 10 * median_s)
        room.submit(IMAGES, name="counted")
        room.wait(timeout_s=60 + 10 * median_s)
        tasks = provider.tasks()[LEARNED_FROM:]
    return _score(tasks)


def _score(tasks: list[dict[str, Any]]) -> Score:
    lags = sorted(float(task["detection_lag_s"]) for task in tasks)
    return Score(
        polls=sum(int(task["polls"]) for task in tasks) / len(tasks),
        lag_s=sum(lags) / len(lags),
        p99_s=lags[int(len(lags) * 0.99)],
    )


def _row(latencies: Latencies, name: str, one: Score) -> tuple[str, ...]:
    return (
        f"{latencies.median_s:g} s",
        name,
        f"{one.polls:.2f}",
        f"{one.lag_s:.2f} s",
        f"{one.p99_s:.2f} s",
        f"{latencies.least_lag_s(one.polls):.2f} s",
    )
