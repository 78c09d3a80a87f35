"""The database's clock as a process estimates it, carried on by the monotonic clock; and ids ordered by it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from worker.core.db.session import Database
from worker.core.rules.errors import first_line

READINGS = 5
"""At the start; the one with the shortest way there and back counts."""
_NOW = text("SELECT clock_timestamp()")


class ClockUnread(Exception):
    """The time was read before a database was bound to the clock."""

    def __str__(self) -> str:
        """Return what is missing."""
        return "the database's clock is not known yet: open the database first (worker.wiring.database)"


def uptime() -> float:
    """Return the seconds of a clock that is never set, and that counts suspended time where the system can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _log() -> Any:
    # Every command reads the clock and next to none logs: importing structlog takes as long as the whole query.
    import structlog  # noqa: PLC0415

    return structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The other clock as it was read, at an instant of the monotonic clock."""

    offset_s: float
    """The other clock less the monotonic clock."""
    read_at_s: float
    read_uncertainty_s: float

    def now_s(self, at_s: float) -> float:
        """Return the other clock's seconds since 1970 at an instant of the monotonic clock."""
        return at_s + self.offset_s

    def uncertainty_s(self, at_s: float) -> float:
        """Return the error bound of the estimate at that time; it grows with the time since the reading."""
        return self.read_uncertainty_s + DRIFT * abs(at_s - self.read_at_s)


class DatabaseClock:
    """The database's time without a round trip, independent of this machine's wall clock; thread-safe.

    It goes back only when the database's clock was set back.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = uptime, wall: Callable[[], float] = time.time, fresh_s: float = 60.0
    ) -> None:
        """Begin without a reading; one older than ``fresh_s`` is renewed where a database is followed."""
        self._monotonic, self._wall, self._fresh_s = monotonic, wall, fresh_s
        self._lock = threading.Lock()
        self._source: Database | None = None
        self._estimate: Estimate | None = None
        self._renew_at_s = 0.0
        self._last_s = 0.0

    def __call__(self) -> datetime:
        """Return the database's time as aware UTC."""
        return datetime.fromtimestamp(self.now_s(), UTC)

    def now_s(self) -> float:
        """Return the database's time in seconds since 1970; raises ClockUnread, or the database's errors."""
        estimate = self._known()
        now_s = estimate.now_s(self._monotonic())
        with self._lock:
            # A better reading may move the estimate back by a few milliseconds, which nothing may see.
            if 0 < self._last_s - now_s <= estimate.uncertainty_s(self._monotonic()) + 1:
                return self._last_s
            self._last_s = now_s
        return now_s

    def uncertainty(self) -> timedelta:
        """Return the error bound of the time."""
        return timedelta(seconds=self._known().uncertainty_s(self._monotonic()))

    def wall_offset_s(self) -> float:
        """Return by how many seconds this machine's wall clock is ahead of the database's."""
        return self._wall() - self._known().now_s(self._monotonic())

    def follow(self, database: Database) -> None:
        """Read this database's clock when the time is next asked for, and whenever the last reading is old.

        Another database than before has another clock.
        """
        with self._lock:
            if self._source is None or self._source.url != database.url:
                self._estimate, self._last_s = None, 0.0
            self._source = database

    def keep(self) -> None:
        """Read the clock that is followed now, and from here on only where ``take`` and ``read`` are called."""
        self._known()
        self._source = None

    @property
    def is_known(self) -> bool:
        """Whether the time was read and can be told at once."""
        return self._estimate is not None

    @property
    def is_bound(self) -> bool:
        """Whether the time can be told."""
        return self._source is not None or self._estimate is not None

    def read(self, tx: Connection, *, times: int = READINGS) -> None:
        """Read the database's clock in a transaction that is open."""
        for _ in range(times):
            self.take(lambda: tx.execute(_NOW).scalar_one())

    def take(self, ask: Callable[[], datetime]) -> datetime:
        """Record the database's ``clock_timestamp()`` from an answer as a reading, and return it."""
        asked_s = self._monotonic()
        theirs = ask()
        reading = Reading(asked_s=asked_s, answered_s=self._monotonic(), theirs_s=theirs.timestamp())
        with self._lock:
            reckoned = reckon(self._estimate, reading)
            self._estimate = reckoned.estimate
        if reckoned.stepped_s:
            _log().error("database.clock_stepped", seconds=round(reckoned.stepped_s, 3), now=theirs.isoformat())
        return theirs

    def _known(self) -> Estimate:
        """Return the estimate, renewed if it is old and can be."""
        found, source, now_s = self._estimate, self._source, self._monotonic()
        if source is not None and (found is None or now_s >= self._renew_at_s):
            found = self._renew(source, found, now_s)
        if found is None:
            raise ClockUnread
        return found

    def _renew(self, source: Database, before: Estimate | None, now_s: float) -> Estimate | None:
        """Read the clock of the database that is followed; one that does not answer is counted on by itself."""
        self._renew_at_s = now_s + self._fresh_s
        try:
            with source.transaction() as tx:
                self.read(tx)
        except DBAPIError as error:
            if before is None:
                raise
            uncertainty_s = round(before.uncertainty_s(now_s), 3)
            _log().warning("clock.not_renewed", uncertainty_s=uncertainty_s, error=first_line(error.orig))
        return self._estimate


DRIFT = 500e-6
"""The most by which two clocks drift apart while neither is stepped, in seconds per second: what NTP may slew by, ten
times what crystals do."""
STEP_S = 0.5
"""A clock that is off by less than this is not reported as stepped."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A reading of the other clock between two instants of the monotonic clock, in seconds."""

    asked_s: float
    answered_s: float
    theirs_s: float
    """Since 1970."""

    @property
    def at_s(self) -> float:
        """The middle between question and answer."""
        return (self.asked_s + self.answered_s) / 2

    @property
    def uncertainty_s(self) -> float:
        """The error bound of the reading, which was made at some instant between question and answer."""
        return (self.answered_s - self.asked_s) / 2


@dataclass(frozen=True, kw_only=True)
class Reckoned:
    """The estimate after a reading, and by how much the other clock was stepped, if it was."""

    estimate: Estimate
    stepped_s: float = 0.0


def reckon(before: Estimate | None, reading: Reading) -> Reckoned:
    """Adopt a reading that is more precise than the present one, or contradicts it; ignore any other."""
    read = Estimate(
        offset_s=reading.theirs_s - reading.at_s, read_at_s=reading.at_s, read_uncertainty_s=reading.uncertainty_s
    )
    if before is None:
        return Reckoned(estimate=read)
    known = before.uncertainty_s(reading.at_s)
    moved = read.offset_s - before.offset_s
    if abs(moved) > known + reading.uncertainty_s:
        return Reckoned(estimate=read, stepped_s=moved if abs(moved) >= STEP_S else 0.0)
    return Reckoned(estimate=read if reading.uncertainty_s <= known else before)


_RANDOM_BITS = 74
"""Of a UUIDv7, beside 48 bits of time, 4 of version and 2 of variant (RFC 9562, 5.7)."""
_GAP_BITS = 32
"""Two ids of one millisecond are at most so far apart (RFC 9562, 6.2)."""
_MOST_BACK_MS = 10_000
"""A clock that goes back by more was set, and is followed; by less, the ids go on where they were."""
_LOW = (1 << 62) - 1
_CHANCE = SystemRandom()


class TimeOrderedIds:
    """Makes ids; for any thread."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """``now_s`` gives seconds since 1970."""
        self._now_s = now_s
        self._lock = threading.Lock()
        self._ms, self._random = 0, 0

    def __call__(self) -> UUID:
        """Return a new id."""
        ms = int(self._now_s() * 1000)
        with self._lock:
            if ms > self._ms or ms < self._ms - _MOST_BACK_MS:
                # The highest bit is left free, so that a millisecond has room for its ids.
                self._ms, self._random = ms, _CHANCE.getrandbits(_RANDOM_BITS - 1)
            else:
                self._random += 1 + _CHANCE.getrandbits(_GAP_BITS)
            ms, rest = self._ms, self._random
        return UUID(int=ms << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 2 << 62 | rest & _LOW)
