"""How long a round of dispatch takes with few and with very many jobs pending, and by which plans."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, event

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom
from worker import wiring
from worker.engine import dispatch
from worker.engine.services import Services
from worker.settings import Settings

FEW, MANY, QUICK_MANY = 10_000, 1_000_000, 100_000
ROUNDS = 25
"""Each admits 250 jobs, so the smaller batch outlasts them."""
_FAST = {"DARKROOM_RATE": "100000", "DARKROOM_MAX_IN_FLIGHT": "100000"}


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Time rounds that each admit 250 jobs, at both sizes."""
    many = QUICK_MANY if is_quick else MANY
    few_ms, few_plans = _measure(place, FEW)
    many_ms, plans = _measure(place, many)
    few, lots = statistics.median(few_ms), statistics.median(many_ms)
    rows = [
        _row(FEW, few_ms, 1.0),
        _row(many, many_ms, lots / few),
    ]
    return Finding(
        name="dispatch",
        title="A round of dispatch",
        method=(
            f"{ROUNDS} rounds in one process, each admitting 250 jobs with their holds, generations and steps;"
            " median and 90 % quantile."
        ),
        columns=("pending", "median", "p90", "ratio"),
        rows=rows,
        figures={"few_ms": few_ms, "many_ms": many_ms, "ratio": lots / few, "plans": plans, "few_plans": few_plans},
        notes=_scans(plans),
    )


def _row(pending: int, times_ms: list[float], ratio: float) -> tuple[str, ...]:
    p90 = statistics.quantiles(times_ms, n=10)[-1]
    return f"{pending:,}", f"{statistics.median(times_ms):.1f} ms", f"{p90:.1f} ms", f"{ratio:.2f}"


def _measure(place: Ground, pending: int) -> tuple[list[float], dict[str, str]]:
    """Return the milliseconds of each round, and the plan of each statement of one."""
    with (
        ground.sandbox() as provider,
        node.darkroom(place, provider, name=f"dispatch_{pending}", broker=4, **_FAST) as room,
        services_of(room) as services,
    ):
        room.submit(pending, name="pending")
        with services.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        admit(services)
        times = [_timed_round(services) for _ in range(ROUNDS)]
        plans = _plans(services)
    return times, plans


@contextmanager
def services_of(room: Darkroom) -> Iterator[Services]:
    """Yield the services of a node whose provider counts as proved.

    Nothing is rendered, so that it would never be, and would be given a handful of jobs alone.
    """
    made = wiring.services(Settings.model_validate(dict(room.environment)))
    try:
        yield replace(made, policies=replace(made.policies, unproved_window=None))
    finally:
        made.database.close()


def admit(services: Services) -> None:
    """Run a round that admits as many jobs as one may; raises Stuck for one that had less to admit."""
    tickets = len(dispatch.run(services).tickets)
    if tickets != dispatch.MOST_PER_ROUND:
        raise ground.Stuck(f"a round of dispatch gave out {tickets} steps, and not {dispatch.MOST_PER_ROUND}")


def _timed_round(services: Services) -> float:
    started = time.perf_counter()
    admit(services)
    return (time.perf_counter() - started) * 1000


def _plans(services: Services) -> dict[str, str]:
    """Return the plan of each statement that one more round executes."""
    with _noted(services) as statements:
        dispatch.run(services)
    plans = {}
    with services.database.engine.connect() as connection:
        for statement, values in statements:
            one = values[0] if isinstance(values, list) else values
            found = connection.exec_driver_sql(f"EXPLAIN {statement}", one).scalars()
            plans[" ".join(statement.split())] = "\n".join(found)
    return plans


@contextmanager
def _noted(services: Services) -> Iterator[list[tuple[str, Any]]]:
    """Yield a list that each statement of the block is added to, with its values."""
    noted: list[tuple[str, Any]] = []

    def note(_: Connection, __: Any, statement: str, values: Any, ___: Any, ____: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "INSERT", "DELETE")):
            noted.append((statement, values))

    event.listen(services.database.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(services.database.engine, "before_cursor_execute", note)


def _scans(plans: dict[str, str]) -> str:
    """Return which tables any statement reads from end to end."""
    lines = {line.strip(" ->").partition("  (")[0] for plan in plans.values() for line in plan.splitlines()}
    whole = sorted(line for line in lines if line.startswith("Seq Scan"))
    by_index = sorted({line for line in lines if " using " in line or line.startswith("Bitmap Index Scan")})
    return (
        f"Read from end to end: {', '.join(whole) or 'no table'}."
        f" By index: {'; '.join(by_index)}. All plans: `--json`, `plans`."
    )
