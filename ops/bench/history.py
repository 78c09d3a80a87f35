"""What years of ended jobs cost those who work today: dispatch, enqueue, reports of a month, sealing."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from psycopg import connect

from ops.bench import big_ledger, ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom
from worker import wiring
from worker.audit import sealing
from worker.audit.evidence import printed
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import By, Format, ReportName
from worker.core.db.session import Database
from worker.engine import dispatch
from worker.engine.services import Services
from worker.settings import Settings

ROUNDS, ENQUEUED, TIMES = 25, 2_000, 5
SEALED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""After the last entry of a history."""
MONTH = (date(2026, 10, 1), date(2026, 10, 31))
MONTH_JOBS = 80_000
"""Images of a month, whatever the size: a longer history has more months, and not busier ones."""
_FAST = {"DARKROOM_RATE": "100000", "DARKROOM_MAX_IN_FLIGHT": "100000"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many jobs there are."""

    ended: int
    pending: int

    def __str__(self) -> str:
        return f"{self.ended:,} + {self.pending:,}"


FIRST_MONTH = Size(ended=MONTH_JOBS, pending=10_000)
TENTH = Size(ended=500_000, pending=100_000)
SIZES = (FIRST_MONTH, TENTH, Size(ended=5_000_000, pending=1_000_000))
QUICK_SIZES = (FIRST_MONTH, TENTH)


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure the same work at each size, in a database of its own."""
    sizes = QUICK_SIZES if is_quick else SIZES
    taken = {size: _measure(place, size, number) for number, size in enumerate(sizes)}
    names = list(taken[FIRST_MONTH])
    return Finding(
        name="history",
        title="Work beside years of history",
        method=(
            f"Ended and pending jobs, written by SQL, {MONTH_JOBS:,} images a month; the same work at each size,"
            " medians in milliseconds, and the ratio to a database that is a month old."
        ),
        columns=("what", *map(str, sizes)),
        rows=[_row(name, [taken[size][name] for size in sizes]) for name in names],
        figures={str(size): figures for size, figures in taken.items()},
    )


def _row(name: str, milliseconds: list[float]) -> tuple[str, ...]:
    return name, *(f"{each:,.1f} ({each / milliseconds[0]:.2f})" for each in milliseconds)


def _measure(place: Ground, size: Size, number: int) -> Mapping[str, float]:
    with (
        ground.sandbox() as provider,
        node.darkroom(place, provider, name=f"history_{number}", broker=8, **_FAST) as room,
        _services(room) as services,
    ):
        _fill(room, services, size)
        return dict(_taken(room, services))


@contextmanager
def _services(room: Darkroom) -> Iterator[Services]:
    services = wiring.services(Settings.model_validate(dict(room.environment)))
    try:
        yield services
    finally:
        services.database.close()


def _fill(room: Darkroom, services: Services, size: Size) -> None:
    """Write the history, close its books, and submit what is pending."""
    every_s = int(timedelta(days=31).total_seconds()) // MONTH_JOBS
    big_ledger.fill(
        room.environment["DARKROOM_DATABASE_URL"],
        account_id=services.account_id,
        entries=big_ledger.ENTRIES_PER_JOB * size.ended,
        every_s=every_s,
        begin=SEALED_AT - timedelta(seconds=every_s) * (size.ended + 1),
    )
    sealing.close_books(room.database, SEALED_AT)
    room.submit(size.pending, name="pending")
    url = room.environment["DARKROOM_DATABASE_URL"].replace("+psycopg", "", 1)
    with connect(url, autocommit=True) as admin:
        admin.execute("VACUUM ANALYZE")


def _taken(room: Darkroom, services: Services) -> Iterator[tuple[str, float]]:
    dispatch.run(services)
    yield "a round of dispatch that admits 250", _median(lambda _: dispatch.run(services), ROUNDS)
    yield f"enqueue of {ENQUEUED:,} lines", _median(lambda n: room.submit(ENQUEUED, name=f"more {n}"), TIMES)
    for name, by in (("statement of a month by day", By.DAY), ("the same by model", By.MODEL)):
        yield name, _median(partial(_statement, room.database, by), TIMES)
    yield "trial balance", _median(lambda _: _trial_balance(room.database), TIMES)
    yield "closing the books of the last minutes", _median(lambda _: sealing.seal(room.database, now=_now()), TIMES)


def _median(work: Callable[[int], object], times: int) -> float:
    """Return the median of so many runs, in milliseconds, after one that is not counted."""
    work(-1)
    milliseconds = []
    for number in range(times):
        began = time.perf_counter()
        work(number)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(milliseconds)


def _statement(database: Database, by: By, _: int) -> None:
    first, last = MONTH
    asked = ReportQuery(report=ReportName.STATEMENT, as_of=SEALED_AT, by=by, from_day=first, to_day=last)
    printed(database, asked, Format.TABLE)


def _trial_balance(database: Database) -> None:
    printed(database, ReportQuery(report=ReportName.TRIAL_BALANCE, as_of=SEALED_AT), Format.TABLE)


def _now() -> datetime:
    return datetime.now(UTC)
