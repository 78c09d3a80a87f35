"""How long ten interactive images take behind 20,000 bulk ones."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from uuid_utils.compat import uuid7

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom
from worker.accounts.queries import accounts

BULK, QUICK_BULK = 20_000, 4_000
WANTED = 10
RATE = 20.0
LATENCY_S, SLOW_S = 3.0, 90.0
WINDOW = 500
FILLED = 0.88
"""Of the window that is full of bulk jobs; they leave a tenth to others."""
_QUICK_RATE = 400.0
_STEADY_S = 15.0
_OPEN = "SELECT count(*) FROM step WHERE kind = 'poll'"
_LEFT = (
    "SELECT count(*) FROM job j JOIN batch b ON b.id = j.batch_id WHERE b.name = 'wanted' AND j.state <> 'succeeded'"
)


@dataclass(frozen=True, kw_only=True)
class Waited:
    """What came of one case."""

    in_flight: int
    """Bulk generations at the provider when the wanted ones came."""
    first_s: float
    last_s: float


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure with bulk jobs in their usual flow, and with a window full of slow ones."""
    bulk = QUICK_BULK if is_quick else BULK
    cases = {
        "in their flow": _measure(place, bulk, is_full=False),
        f"the window full, each of {SLOW_S:g} s": _measure(place, bulk, is_full=True),
    }
    return Finding(
        name="interactive",
        title="Ten interactive images behind bulk ones",
        method=(
            f"One node at {RATE:g} requests/s, {bulk:,} bulk jobs pending, a window of {WINDOW}, a median latency of"
            f" {LATENCY_S:g} s; then {WANTED} interactive jobs of another owner. Seconds from their submission until"
            " the first, and the last, is stored."
        ),
        columns=("bulk jobs", "of them at the provider", "first", "last"),
        rows=[(name, str(one.in_flight), f"{one.first_s:.1f} s", f"{one.last_s:.1f} s") for name, one in cases.items()],
        figures=cases,
    )


def _measure(place: Ground, bulk: int, *, is_full: bool) -> Waited:
    name = f"interactive_{'full' if is_full else 'flow'}"
    settings = {"DARKROOM_RATE": str(_QUICK_RATE if is_full else RATE), "DARKROOM_MAX_IN_FLIGHT": str(WINDOW)}
    with (
        ground.sandbox(latency_median_s=SLOW_S if is_full else LATENCY_S) as provider,
        node.darkroom(place, provider, name=name, broker=10, **settings) as room,
    ):
        room.submit(bulk, name="bulk", owner="nightly")
        with room.node():
            if is_full:
                ground.wait_until(
                    lambda: _count(room, _OPEN) >= FILLED * WINDOW, "the window is full", timeout_s=SLOW_S
                )
                provider.set(latency_median_s=LATENCY_S)
                _slow_down(room)
            else:
                time.sleep(_STEADY_S)
            return _wait_for_wanted(room)


def _slow_down(room: Darkroom) -> None:
    """Go on at the pace that is measured."""
    with room.database.transaction() as tx:
        account = accounts.ensure(tx, account_id=uuid7(), name="default", now=datetime.now(UTC))
        accounts.configure(tx, account, rate=RATE, max_in_flight=WINDOW, now=datetime.now(UTC))


def _wait_for_wanted(room: Darkroom) -> Waited:
    in_flight, started = _count(room, _OPEN), time.monotonic()
    room.submit(WANTED, name="wanted", owner="ann", priority="interactive")
    ground.wait_until(lambda: _count(room, _LEFT) < WANTED, "one is there", timeout_s=300, every_s=0.05)
    first_s = time.monotonic() - started
    ground.wait_until(lambda: _count(room, _LEFT) == 0, "all are there", timeout_s=300, every_s=0.05)
    return Waited(in_flight=in_flight, first_s=first_s, last_s=time.monotonic() - started)


def _count(room: Darkroom, query: str) -> int:
    with room.database.transaction() as tx:
        return int(tx.execute(text(query)).scalar_one())
