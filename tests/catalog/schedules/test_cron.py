"""Due times on both Sundays of daylight-saving time: Europe/Paris, 29 March and 25 October 2026."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from worker.catalog.cron import BadTiming, due_run, timing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)


def due(cron: str, after: datetime, count: int, tz: str = "Europe/Paris") -> list[str]:
    return [f"{at:%m-%d %H:%M}" for at in timing(cron, tz, now=NOW).next_times(after, count)]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 2 * * 1", ["03-30 00:00", "04-06 00:00"]),
        ("59 1 * * *", ["03-29 00:59", "03-29 23:59"]),
        ("30 2 * * *", ["03-29 01:00", "03-30 00:30"]),
        ("30 2 * * 0", ["03-29 01:00", "04-05 00:30"]),
        ("0,30 2 * * *", ["03-29 01:00", "03-30 00:00"]),
        ("0 3 * * *", ["03-29 01:00", "03-30 01:00"]),
        ("*/30 2 * * *", ["03-30 00:00", "03-30 00:30"]),
    ],
)
def test_a_time_that_spring_leaves_out_is_due_when_the_clock_has_moved_on(cron: str, expected: list[str]) -> None:
    """At 02:00 the clock moves to 03:00, which is 01:00 UTC; times here are UTC."""
    assert due(cron, SPRING, 2) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 2 * * 1", ["10-26 01:00", "11-02 01:00"]),
        ("30 2 * * *", ["10-25 00:30", "10-26 01:30"]),
        ("30 2 * * 0", ["10-25 00:30", "11-01 01:30"]),
        ("0 3 * * *", ["10-25 02:00", "10-26 02:00"]),
        ("*/30 2 * * *", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30", "10-26 01:00"]),
    ],
)
def test_a_fixed_time_that_comes_twice_in_autumn_is_due_the_first_time(cron: str, expected: list[str]) -> None:
    """At 03:00 the clock moves back to 02:00, so that 02:30 is 00:30 and 01:30 UTC; times here are UTC."""
    assert due(cron, AUTUMN, len(expected)) == expected


@pytest.mark.parametrize("minutes", range(0, 240, 15))
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 3 * * *", "*/15 * * * *", "0 */2 * * *"])
def test_the_next_time_is_later_and_the_same_from_wherever_one_asks(cron: str, minutes: int) -> None:
    asked = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=minutes)
    found = timing(cron, "Europe/Paris", now=NOW)

    from_before = [at for at in found.next_times(AUTUMN, 120) if at > asked]

    assert found.next_times(asked, 3) == from_before[:3]


def test_a_weekly_time_keeps_its_wall_clock_through_the_year() -> None:
    found = timing("0 2 * * 1", "Europe/Paris", now=NOW).next_times(NOW, 52)

    gaps = {later - earlier for earlier, later in pairwise(found)}

    assert len(found) == 52
    assert gaps == {timedelta(days=7), timedelta(days=7, hours=1), timedelta(days=7, hours=-1)}


def test_a_zone_without_daylight_saving_is_the_same_every_day() -> None:
    assert due("30 2 * * *", SPRING, 2, tz="UTC") == ["03-29 02:30", "03-30 02:30"]


def test_all_that_is_owed_is_counted_and_the_latest_is_named() -> None:
    found = due_run(timing("0 2 * * *", "UTC", now=NOW), since=NOW, now=NOW + timedelta(days=3))

    assert found is not None
    assert (found.count, found.due_at) == (3, datetime(2026, 1, 3, 2, tzinfo=UTC))


def test_a_due_time_belongs_to_the_look_that_comes_at_that_instant() -> None:
    line = timing("0 2 * * *", "UTC", now=NOW)
    instant = datetime(2026, 1, 1, 2, tzinfo=UTC)

    assert due_run(line, since=NOW, now=instant - timedelta(microseconds=1)) is None
    assert due_run(line, since=NOW, now=instant) is not None
    assert due_run(line, since=instant, now=instant + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("cron", "tz", "reason"),
    [
        ("0 2 * *", "UTC", "five fields"),
        ("0 0 2 * * 1", "UTC", "five fields"),
        ("0 25 * * *", "UTC", "Bad hour"),
        ("@weekly", "UTC", "five fields"),
        ("0 2 30 2 *", "UTC", "Bad day-of-month"),
        ("0 2 * * 1", "Europe/Pari", "time zone"),
        ("0 2 * * 1", "../etc/passwd", "time zone"),
        ("0 2 * * 1", "", "time zone"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_reason(cron: str, tz: str, reason: str) -> None:
    with pytest.raises(BadTiming, match=reason):
        timing(cron, tz, now=NOW)
