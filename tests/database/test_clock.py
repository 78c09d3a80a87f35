"""A process tells the database's time, whatever its own wall clock says."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from worker.core.db.clock import ClockUnread, DatabaseClock, TimeOrderedIds
from worker.core.db.session import Database

DAY_S = 86_400.0
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class Hands:
    """A wall clock and a monotonic clock that are set by hand."""

    wall_s: float = 0.0
    monotonic_s: float = 0.0

    def clock(self) -> DatabaseClock:
        return DatabaseClock(monotonic=lambda: self.monotonic_s, wall=lambda: self.wall_s)


def server_time(database: Database) -> datetime:
    with database.transaction() as tx:
        found: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


@pytest.fixture
def clock(database: Database) -> DatabaseClock:
    """Return the database's clock on a machine whose wall clock is a day ahead."""
    made = DatabaseClock(wall=lambda: time.time() + DAY_S)
    made.follow(database)
    return made


def test_the_time_is_the_databases_on_a_machine_that_is_a_day_ahead(clock: DatabaseClock, database: Database) -> None:
    before = server_time(database)
    told = clock()
    after = server_time(database)

    slack = clock.uncertainty()
    assert before - slack <= told <= after + slack
    assert slack < timedelta(milliseconds=100)
    assert clock.wall_offset_s() == pytest.approx(DAY_S, abs=1.0)


def test_no_step_of_the_wall_clock_is_seen() -> None:
    hands = Hands(wall_s=NOON.timestamp(), monotonic_s=50.0)
    clock = hands.clock()
    clock.take(lambda: NOON)

    hands.wall_s += 400 * DAY_S
    hands.monotonic_s += 3.0

    assert clock() == NOON + timedelta(seconds=3)
    assert clock.wall_offset_s() == 400 * DAY_S - 3.0


def test_a_better_reading_never_sets_the_time_back() -> None:
    hands = Hands()
    clock = hands.clock()
    clock.take(lambda: NOON)
    hands.monotonic_s += 100.0
    before = clock()

    clock.take(lambda: NOON + timedelta(seconds=99.99))

    assert clock() == before


def test_a_database_whose_clock_was_set_back_is_followed() -> None:
    hands = Hands()
    clock = hands.clock()
    clock.take(lambda: NOON)
    clock()

    clock.take(lambda: NOON - timedelta(hours=1))

    assert clock() == NOON - timedelta(hours=1)


def test_a_time_that_was_never_read_is_not_made_up() -> None:
    with pytest.raises(ClockUnread, match="open the database first"):
        DatabaseClock()()


def test_ids_of_a_machine_that_is_a_day_ahead_sort_by_the_databases_time(
    clock: DatabaseClock, database: Database
) -> None:
    right = DatabaseClock()
    right.follow(database)
    ahead_ids, right_ids = TimeOrderedIds(clock.now_s), TimeOrderedIds(right.now_s)

    first = ahead_ids()
    with database.transaction() as tx:
        tx.execute(text("SELECT pg_sleep(0.3)"))
    second = right_ids()

    assert first < second


def test_ids_of_one_process_grow_even_while_the_clock_stands_still() -> None:
    ids = TimeOrderedIds(lambda: 1_800_000_000.0)

    made = [ids() for _ in range(10_000)]

    assert made == sorted(set(made))
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
