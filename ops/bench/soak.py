"""Half an hour of steady work beside a reader who holds an old snapshot: what autovacuum removes, which costs grow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
from psycopg import IsolationLevel, connect
from sqlalchemy import text

from ops.bench import costs, ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom

RATE = 20
"""Requests per second, a third of them creates: far from what a node can do, so that growing costs are seen."""
PERIODS, QUICK_PERIODS = 7, 3
PERIOD_S, QUICK_PERIOD_S = 300.0, 20.0
HOT = (
    "step",
    "account",
    "batch",
    "job",
    "generation",
    "owner_month",
    "provider_health",
    "latency",
    "maintenance",
    "node",
)
"""Tables whose rows are updated or deleted as work goes on."""
SEEN = """
    SELECT c.relname AS name, pg_relation_size(c.oid) AS bytes, s.n_dead_tup AS dead, s.autovacuum_count AS vacuums
    FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.relname = ANY(:hot)
"""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All counters at one instant."""

    at: float
    images: int
    node_cpu_s: float
    postgres_cpu_s: float
    tables: dict[str, tuple[int, int, int]]
    """Of each hot table: its bytes, its dead rows, and how often autovacuum has been there."""


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Work at one pace for all periods; the snapshot is held through all but the last."""
    periods, period_s = (QUICK_PERIODS, QUICK_PERIOD_S) if is_quick else (PERIODS, PERIOD_S)
    with (
        ground.sandbox(latency_median_s=3.0, rate_limit=RATE, rate_window_s=1.0) as provider,
        node.darkroom(
            place, provider, name="soak", broker=10, DARKROOM_RATE=str(RATE), DARKROOM_MAX_IN_FLIGHT="2000"
        ) as room,
    ):
        room.submit(int(RATE * period_s * (periods + 1) / 2), name="soak")
        with room.node() as working:
            time.sleep(period_s / 5)
            readings = [_read(place, room, working)]
            with _held_snapshot(room):
                readings += [_after(period_s, place, room, working) for _ in range(periods - 1)]
            readings.append(_after(period_s, place, room, working))
    return _finding(readings, period_s)


@contextmanager
def _held_snapshot(room: Darkroom) -> Iterator[None]:
    """Keep a snapshot of now open, as a long report or a forgotten session does."""
    with connect(room.database.conninfo) as held:
        held.isolation_level = IsolationLevel.REPEATABLE_READ
        held.execute("SELECT count(*) FROM step")
        yield
        held.rollback()


def _after(seconds: float, place: Ground, room: Darkroom, working: psutil.Process) -> Reading:
    time.sleep(seconds)
    return _read(place, room, working)


def _read(place: Ground, room: Darkroom, working: psutil.Process) -> Reading:
    with room.database.transaction() as tx:
        images = int(tx.execute(text("SELECT count(*) FROM job WHERE state = 'succeeded'")).scalar_one())
        rows: Any = tx.execute(text(SEEN), {"hot": list(HOT)})
        tables = {row.name: (row.bytes, row.dead, row.vacuums) for row in rows}
    return Reading(
        at=time.monotonic(),
        images=images,
        node_cpu_s=costs.cpu_s(working),
        postgres_cpu_s=costs.cpu_s(psutil.Process(place.services.postgres.pid)),
        tables=tables,
    )


def _finding(readings: list[Reading], period_s: float) -> Finding:
    pairs = list(pairwise(readings))
    return Finding(
        name="soak",
        title="Half an hour beside a held snapshot",
        method=(
            f"One node at {RATE} requests/s for {len(pairs)} periods of {period_s:g} s. A transaction holds a snapshot"
            " from the first to the last but one, so that no row that died since can be removed; in the last it is"
            " gone. CPU by image; dead rows and vacuums of all tables that are updated, as the server counts them."
        ),
        columns=(
            *("period", "snapshot", "images/s", "CPU ms an image: node", "Postgres"),
            *("dead rows", "vacuums", "`step` kB", "`account` kB", "`batch` kB"),
        ),
        rows=[
            _row(number, before, after, is_last=number == len(pairs)) for number, (before, after) in enumerate(pairs, 1)
        ],
        figures={"readings": readings},
    )


def _row(number: int, before: Reading, after: Reading, *, is_last: bool) -> tuple[str, ...]:
    images = max(1, after.images - before.images)
    dead = sum(each[1] for each in after.tables.values())
    vacuums = sum(each[2] for each in after.tables.values()) - sum(each[2] for each in before.tables.values())
    return (
        str(number),
        "released" if is_last else "held",
        f"{(after.images - before.images) / (after.at - before.at):.1f}",
        f"{1000 * (after.node_cpu_s - before.node_cpu_s) / images:.1f}",
        f"{1000 * (after.postgres_cpu_s - before.postgres_cpu_s) / images:.1f}",
        f"{dead:,}",
        str(vacuums),
        *(f"{after.tables[name][0] / 1024:,.0f}" for name in ("step", "account", "batch")),
    )
