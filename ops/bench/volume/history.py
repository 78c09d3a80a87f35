"""What years of ended jobs cost those who work today: dispatch, enqueue, reports of a month, sealing, console pages."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from psycopg import connect

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom
from ops.bench.volume import big_ledger, console, dispatch_rounds
from worker.audit import sealing
from worker.audit.evidence import printed
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import By, Format, ReportName
from worker.engine.services import Services

ROUNDS, ENQUEUED, TIMES, PAGE_TIMES = 25, 2_000, 5, 25
SEALED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""After the last entry of a history."""
MONTH = (date(2026, 10, 1), date(2026, 10, 31))
MONTH_JOBS = 80_000
"""Images of a month, whatever the size: a longer history has more months, and not busier ones."""
PAGES = (
    "home",
    "batches",
    "batches with failures",
    "a batch",
    "a job",
    "search by key",
    "in doubt",
    "money by day",
    "audit log",
)
"""Of the console's: those that read what has ended."""
_FAST = {"DARKROOM_RATE": "100000", "DARKROOM_MAX_IN_FLIGHT": "100000"}
_FIRST_PORT = 8810


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


@dataclass(frozen=True, kw_only=True)
class Room:
    """A Darkroom with a history of one size, and its console."""

    darkroom: Darkroom
    services: Services
    pages: console.Visitor


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is measured: so many times in each room, which is told the number of the time."""

    times: int
    do: Callable[[Room, int], object]


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Fill a database of each size, then do the same work in all of them in turn."""
    sizes = QUICK_SIZES if is_quick else SIZES
    with ExitStack() as stack:
        rooms = [stack.enter_context(_room(place, size, number)) for number, size in enumerate(sizes)]
        taken = {name: _medians(rooms, work) for name, work in _works().items()}
    return Finding(
        name="history",
        title="Work beside years of history",
        method=(
            f"Ended and pending jobs, written by SQL, {MONTH_JOBS:,} images a month. The same work at each size in"
            " turn, so that whatever else the machine does falls on all of them; medians in milliseconds, and the ratio"
            " to a database that is a month old."
        ),
        columns=("what", *map(str, sizes)),
        rows=[_row(name, medians) for name, medians in taken.items()],
        figures={str(size): {name: taken[name][at] for name in taken} for at, size in enumerate(sizes)},
    )


def _row(name: str, milliseconds: Sequence[float]) -> tuple[str, ...]:
    return name, *(f"{each:,.1f} ({each / milliseconds[0]:.2f})" for each in milliseconds)


@contextmanager
def _room(place: Ground, size: Size, number: int) -> Iterator[Room]:
    with (
        ground.sandbox() as provider,
        node.darkroom(place, provider, name=f"history_{number}", broker=8 + number, **_FAST) as darkroom,
        dispatch_rounds.services_of(darkroom) as services,
    ):
        _fill(darkroom, services, size)
        with console.visited(place, darkroom.environment, _FIRST_PORT + number, count=PAGE_TIMES) as pages:
            yield Room(darkroom=darkroom, services=services, pages=pages)


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


def _works() -> Mapping[str, Work]:
    """Return what is measured, by its name."""
    return {
        "a round of dispatch that admits 250": Work(
            times=ROUNDS, do=lambda room, _: dispatch_rounds.admit(room.services)
        ),
        f"enqueue of {ENQUEUED:,} lines": Work(
            times=TIMES, do=lambda room, number: room.darkroom.submit(ENQUEUED, name=f"more {number}")
        ),
        "statement of a month by day": Work(times=TIMES, do=partial(_statement, by=By.DAY)),
        "the same by model": Work(times=TIMES, do=partial(_statement, by=By.MODEL)),
        "trial balance": Work(times=TIMES, do=_trial_balance),
        "closing the books of the last minutes": Work(
            times=TIMES, do=lambda room, _: sealing.seal(room.darkroom.database, now=datetime.now(UTC))
        ),
        **{f"page: {name}": Work(times=PAGE_TIMES, do=partial(_page, name=name)) for name in PAGES},
    }


def _medians(rooms: Sequence[Room], work: Work) -> Sequence[float]:
    """Return the median of each room, in milliseconds, after one time that is not counted."""
    milliseconds: list[list[float]] = [[] for _ in rooms]
    for number in range(-1, work.times):
        for room, taken in zip(rooms, milliseconds, strict=True):
            began = time.perf_counter()
            work.do(room, number)
            if number >= 0:
                taken.append((time.perf_counter() - began) * 1000)
    return [statistics.median(taken) for taken in milliseconds]


def _statement(room: Room, _: int, *, by: By) -> None:
    first, last = MONTH
    asked = ReportQuery(report=ReportName.STATEMENT, as_of=SEALED_AT, by=by, from_day=first, to_day=last)
    printed(room.darkroom.database, asked, Format.TABLE)


def _trial_balance(room: Room, _: int) -> None:
    asked = ReportQuery(report=ReportName.TRIAL_BALANCE, as_of=SEALED_AT)
    printed(room.darkroom.database, asked, Format.TABLE)


def _page(room: Room, number: int, *, name: str) -> None:
    room.pages.get(console.PAGES[name], number)
