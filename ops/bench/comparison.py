"""Images per second of one node beside the same job done with other tools, in turns, as ratios."""

import statistics
import sys
from collections.abc import Sequence

from ops.bench import throughput
from ops.bench.contenders import CONTENDERS
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.throughput import Outcome

IMAGES, ROUNDS = 500, 3
QUICK_IMAGES, QUICK_ROUNDS = 250, 1


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Let each contender have its turn in each round, so that what else the machine does meets all of them."""
    images, rounds = (QUICK_IMAGES, QUICK_ROUNDS) if is_quick else (IMAGES, ROUNDS)
    outcomes: dict[str, list[Outcome]] = {contender.name: [] for contender in throughput.here()}
    for number in range(rounds):
        for contender in throughput.here():
            outcome = throughput.measure(place, contender, images=images, run=number)
            outcomes[contender.name].append(outcome)
            print(f"    {contender.name}: {outcome.per_second:.1f} images/s", file=sys.stderr, flush=True)
    missing = [contender.name for contender in CONTENDERS if not contender.is_here]
    return Finding(
        name="throughput",
        title="Images per second of one node",
        method=(
            f"{rounds} rounds of {images:,} images each, one contender after the other: one process with 16 threads,"
            " the same Postgres, the same sandbox without latency or limit, images checked and stored by the same"
            " code. Images per second from the first create that reached the provider to the last image on record,"
            " since queues differ in what they do first. Ratios are medians of"
            " Darkroom's figure divided by the other's in the same round."
        ),
        columns=(
            *("", "images/s", "Darkroom is", "CPU ms: worker", "Postgres", "broker"),
            *("statements", "commits", "WAL bytes", "broker commands", "enqueue/s"),
        ),
        rows=[_row(name, found, outcomes["darkroom"]) for name, found in outcomes.items()],
        figures={"outcomes": outcomes, "missing": missing},
        notes=f"Not installed, so not measured: {', '.join(missing)}." if missing else "",
    )


def ratio(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> float:
    """Return how many times as fast ours is: the median over the rounds."""
    return statistics.median(our.per_second / their.per_second for our, their in zip(ours, theirs, strict=True))


def _row(name: str, found: Sequence[Outcome], ours: Sequence[Outcome]) -> tuple[str, ...]:
    def middle(values: Sequence[float], form: str = "{:.1f}") -> str:
        return form.format(statistics.median(values))

    return (
        name,
        middle([one.per_second for one in found]),
        f"{ratio(ours, found):.2f} x" if name != "darkroom" else "",
        middle([one.costs.cpu_ms["worker"] for one in found]),
        middle([one.costs.cpu_ms["postgres"] for one in found]),
        middle([one.costs.cpu_ms["valkey"] for one in found]),
        middle([one.statements for one in found]),
        middle([one.commits for one in found]),
        middle([one.costs.wal_bytes for one in found], "{:,.0f}"),
        middle([one.costs.commands for one in found]),
        middle([one.images / one.enqueue_s for one in found], "{:,.0f}"),
    )
