"""What webhooks are worth in a real run: nodes at a provider whose one limit counts all requests."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from uuid_utils.compat import uuid7

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground, Sandbox
from ops.bench.node import Darkroom
from ops.bench.receiving import receiving
from worker.accounts import webhooks
from worker.accounts.queries import accounts
from worker.core.db.changes import Author
from worker.core.db.clock import DatabaseClock
from worker.provider import webhooks as signed
from worker.provider.client import Client

MEDIAN_S, SIGMA = 20.0, 0.35
SIZES: Mapping[int, tuple[int, int]] = {2: (80, 160), 20: (200, 400)}
"""By requests per second: images to learn from, and images that are counted."""
QUICK_SIZES: Mapping[int, tuple[int, int]] = {20: (150, 300)}
LOST: Mapping[str, float | None] = {"no endpoint": None, "none comes": 1.0, "1 % lost": 0.01}
"""None: no endpoint is registered."""
SIDE_BY_SIDE = 5
"""Up to so many requests a second the cases of a rate run at the same time: none keeps the machine busy."""
DELAY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run came to."""

    polls: float
    lag_s: float
    p99_s: float
    images_per_s: float
    throttled: int


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Run all cases of each rate."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for rate, sizes in (QUICK_SIZES if is_quick else SIZES).items():
        with ThreadPoolExecutor(len(LOST) if rate <= SIDE_BY_SIDE else 1) as pool:
            began = {
                name: pool.submit(_measure, place, rate, lost, sizes, broker=11 + number)
                for number, (name, lost) in enumerate(LOST.items())
            }
            found = {name: each.result() for name, each in began.items()}
        figures[f"{rate} requests/s"] = found
        rows += [_row(rate, name, one) for name, one in found.items()]
    return Finding(
        name="hints",
        title="Webhooks in a real run",
        method=(
            f"Latencies of {MEDIAN_S:g} s (log-normal, sigma {SIGMA:g}), one limit for all requests, `DARKROOM_RATE`"
            " set to it, more jobs than it permits; webhooks"
            f" {DELAY_S:g} s after the end (median, sigma 0.8), signed, sent by the sandbox over HTTP. Counted by the"
            " sandbox after "
            + " and ".join(f"{lessons} images at {rate}/s" for rate, (lessons, _) in SIZES.items())
            + "; the lag is from the end at the provider to the GET that showed it. The cases at 2/s ran side by"
            " side."
        ),
        columns=("requests/s", "webhooks", "polls per image", "mean lag", "p99 lag", "images/s", "429s"),
        rows=rows,
        figures=figures,
    )


def _measure(place: Ground, rate: int, lost: float | None, sizes: tuple[int, int], *, broker: int) -> Run:
    name = f"hints_{rate}_{broker}"
    behaviour = {"latency_median_s": MEDIAN_S, "latency_sigma": SIGMA, "rate_limit": rate, "webhook_loopback": True}
    with (
        ground.sandbox(**behaviour, webhook_delay_s=DELAY_S, webhook_lost=lost or 0.0) as provider,
        node.darkroom(place, provider, name=name, broker=broker, DARKROOM_RATE=str(rate)) as room,
        _registered(room, provider, is_wanted=lost is not None),
        room.node(),
    ):
        lessons, counted = sizes
        room.submit(lessons + counted, name="images")
        room.wait(timeout_s=120 + 6 * (lessons + counted) / rate)
        tasks, throttled = provider.tasks(), int(provider.books()["throttled"])
    return _run(tasks, lessons, throttled)


@contextmanager
def _registered(room: Darkroom, provider: Sandbox, *, is_wanted: bool) -> Iterator[None]:
    if not is_wanted:
        yield
        return
    clock = DatabaseClock()
    clock.follow(room.database)
    with room.database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=clock())
    client = Client(base_url=provider.base_url, api_key=provider.key, now=clock)
    with receiving(room.database, clock) as address:
        by = Author(actor="bench", reason=None, now=clock(), new_id=uuid7)
        webhooks.add(
            room.database, client, account_id, by, address=address, name="bench", verifiers=(signed.Verifier.STANDARD,)
        )
        yield


def _run(tasks: list[dict[str, Any]], lessons: int, throttled: int) -> Run:
    seen = sorted(_at(task["ended_at"]) + float(task["detection_lag_s"]) for task in tasks)
    # The last create ends the time in which requests were scarce.
    begins_s, ends_s = seen[lessons], max(_at(task["created_at"]) for task in tasks)
    counted = tasks[lessons:]
    lags = sorted(float(task["detection_lag_s"]) for task in counted)
    return Run(
        polls=sum(int(task["polls"]) for task in counted) / len(counted),
        lag_s=sum(lags) / len(lags),
        p99_s=lags[int(len(lags) * 0.99)],
        images_per_s=sum(begins_s < at_s <= ends_s for at_s in seen) / (ends_s - begins_s),
        throttled=throttled,
    )


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _row(rate: int, name: str, one: Run) -> tuple[str, ...]:
    return (
        str(rate),
        name,
        f"{one.polls:.3f}",
        f"{one.lag_s:.2f} s",
        f"{one.p99_s:.2f} s",
        f"{one.images_per_s:.2f}",
        str(one.throttled),
    )
