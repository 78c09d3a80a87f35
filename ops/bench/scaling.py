"""What several nodes cost together, and what it costs to add and to remove them under load."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil
from kombu import Connection as Broker
from psycopg import connect

from ops.bench import costs, ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground, Sandbox
from ops.bench.node import Darkroom
from worker.local import home
from worker.node.app import QUEUES

BROKER = "DARKROOM_BENCH_BROKER_URL"
"""A broker of one's own for this benchmark, such as a virtual host of RabbitMQ; without it the ground's Valkey."""
FLEETS, IMAGES, QUICK_IMAGES = (1, 2, 4), 600, 200
RATE, PHASE_S = 20, 20.0
"""Requests per second of the provider, and how long each size of the fleet is measured, while it changes under load."""
THREADS = "8"
FAST = {
    "DARKROOM_RATE": "5000",
    "DARKROOM_MAX_IN_FLIGHT": "400",
    "DARKROOM_POLL_FIRST_S": "0.5",
    "DARKROOM_POLL_GAP_S": "0.5",
    "DARKROOM_CONCURRENCY": THREADS,
    "DARKROOM_NODE_METRICS": "off",
}
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_STATEMENT, _COMMIT = re.compile(rb" LOG:  (?:execute|statement)"), re.compile(rb"(?:execute [^:]*|statement): COMMIT")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All counters of one database, its server and the nodes at one instant."""

    at: float
    nodes_cpu_s: float
    postgres_cpu_s: float
    wal_bytes: int
    database_bytes: int
    log_bytes: int


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What an image cost a fleet, by image."""

    nodes: int
    images_per_s: float
    nodes_cpu_ms: float
    postgres_cpu_ms: float
    statements: float
    commits: float
    wal_bytes: float
    database_bytes: float
    connections: int
    """At most at once, of all nodes."""


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure fleets of each size, then one that grows and shrinks under load."""
    images = QUICK_IMAGES if is_quick else IMAGES
    fleets = [_measured(place, count, images) for count in FLEETS]
    phases, drained_s = _changed_under_load(place)
    return Finding(
        name="scaling",
        title="Several nodes",
        method=(
            f"{images} images each at a provider without a limit, {THREADS} threads a node, broker:"
            f" {'of one process, Valkey' if BROKER not in os.environ else os.environ[BROKER].split(':')[0]}; every"
            f" statement is logged, which slows all of it. Then {RATE} requests/s while nodes are added and removed,"
            f" {PHASE_S:g} s for each size."
        ),
        columns=(
            *("nodes", "images/s", "CPU ms: nodes", "Postgres", "statements", "commits", "WAL bytes"),
            *("bytes kept", "connections"),
        ),
        rows=[_row(fleet) for fleet in fleets],
        figures={"fleets": fleets, "phases": phases, "drained_s": drained_s},
        notes="Under load: "
        + "; ".join(f"{count} nodes used {share:.0%} of the limit" for count, share in phases)
        + f". Ends after SIGTERM: {', '.join(f'{seconds:.1f} s' for seconds in drained_s)}.",
    )


def _measured(place: Ground, count: int, images: int) -> Fleet:
    with ground.sandbox(latency_median_s=0.3) as provider, _room(place, provider, f"scaling_{count}", **FAST) as room:
        costs.log_statements(place, f"bench_scaling_{count}")
        room.submit(images, name="work")
        with ExitStack() as stack:
            processes = [stack.enter_context(room.node()) for _ in range(count)]
            # Nodes that start take work at once; what they need for their own start is not an image's.
            before, done_before = _read(place, room, processes), images - room.unfinished()
            room.submit(images, name="more")
            seen = [0]
            ground.wait_until(lambda: _is_done(room, seen), "every job has ended", timeout_s=600, every_s=0.5)
            after = _read(place, room, processes)
        said = home.at(place.services.home).log("postgres").read_bytes()[before.log_bytes : after.log_bytes]
    done = 2 * images - done_before
    return Fleet(
        nodes=count,
        images_per_s=done / (after.at - before.at),
        nodes_cpu_ms=1000 * (after.nodes_cpu_s - before.nodes_cpu_s) / done,
        postgres_cpu_ms=1000 * (after.postgres_cpu_s - before.postgres_cpu_s) / done,
        statements=len(_STATEMENT.findall(said)) / done,
        commits=len(_COMMIT.findall(said)) / done,
        wal_bytes=(after.wal_bytes - before.wal_bytes) / done,
        database_bytes=(after.database_bytes - before.database_bytes) / done,
        connections=max(seen),
    )


@contextmanager
def _room(place: Ground, provider: Sandbox, name: str, **settings: str) -> Iterator[Darkroom]:
    """Yield a Darkroom on the broker of this benchmark, emptied."""
    given = os.environ.get(BROKER)
    if given is None:
        with node.darkroom(place, provider, name=name, broker=9, **settings) as room:
            yield room
        return
    with Broker(given) as broker:
        channel = broker.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)  # type: ignore[attr-defined]  # AMQP has it, and kombu's stubs do not
    with node.darkroom(place, provider, name=name, broker=9, DARKROOM_BROKER_URL=given, **settings) as room:
        yield room


def _is_done(room: Darkroom, seen: list[int]) -> bool:
    with connect(room.database.conninfo) as own:
        found = own.execute(CONNECTIONS).fetchone()
    # Two are this benchmark's own.
    seen.append(int(found[0]) - 2 if found else 0)
    return room.unfinished() == 0


def _read(place: Ground, room: Darkroom, nodes: list[psutil.Process]) -> Reading:
    with connect(room.database.conninfo) as own:
        own.execute("SET LOCAL log_statement = 'none'")
        query = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())"
        wal, size = own.execute(query).fetchone() or (0, 0)
    return Reading(
        at=time.monotonic(),
        nodes_cpu_s=sum(costs.cpu_s(each) for each in nodes),
        postgres_cpu_s=costs.cpu_s(psutil.Process(place.services.postgres.pid)),
        wal_bytes=int(wal),
        database_bytes=int(size),
        log_bytes=home.at(place.services.home).log("postgres").stat().st_size,
    )


def _changed_under_load(place: Ground) -> tuple[list[tuple[int, float]], list[float]]:
    """Return the share of the limit that each size of the fleet used, and how long each node took to end."""
    settings = {**FAST, "DARKROOM_RATE": str(RATE), "DARKROOM_MAX_IN_FLIGHT": "2000"}
    limited = ground.sandbox(latency_median_s=3.0, rate_limit=RATE, rate_window_s=1.0)
    phases: list[tuple[int, float]] = []
    with limited as provider, _room(place, provider, "changed", **settings) as room:
        room.submit(int(RATE * PHASE_S * 5), name="work")
        with _started(room) as stays:
            time.sleep(PHASE_S / 2)
            phases.append((1, _share(provider)))
            with ExitStack() as more:
                added = [more.enter_context(_started(room)) for _ in range(3)]
                phases.append((4, _share(provider)))
                drained_s = [_timed_end(each) for each in added]
            phases.append((1, _share(provider)))
            drained_s.append(_timed_end(stays))
    return phases, drained_s


@contextmanager
def _started(room: Darkroom) -> Iterator[ExitStack]:
    """Yield a node that works, by what ends it."""
    with ExitStack() as stack:
        stack.enter_context(room.node())
        yield stack


def _timed_end(node_: ExitStack) -> float:
    began = time.monotonic()
    node_.close()
    return time.monotonic() - began


def _share(provider: Sandbox) -> float:
    before, began = _answered(provider), time.monotonic()
    time.sleep(PHASE_S)
    return (_answered(provider) - before) / (RATE * (time.monotonic() - began))


def _answered(provider: Sandbox) -> int:
    kinds = provider.books()["requests"]
    paced = [kinds[kind] for kind in ("create", "get", "upload", "credits") if kind in kinds]
    return sum(kind["total"] - kind.get("429", 0) for kind in paced)


def _row(fleet: Fleet) -> tuple[str, ...]:
    return (
        str(fleet.nodes),
        f"{fleet.images_per_s:.0f}",
        f"{fleet.nodes_cpu_ms:.1f}",
        f"{fleet.postgres_cpu_ms:.1f}",
        f"{fleet.statements:.1f}",
        f"{fleet.commits:.2f}",
        f"{fleet.wal_bytes:,.0f}",
        f"{fleet.database_bytes:,.0f}",
        str(fleet.connections),
    )
