"""Figures, instants and spans as pages write them."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.web.rules import wording

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "\N{EN DASH}"), (0, "0"), (9007199254740993, "9,007,199,254,740,993")]
)
def test_a_number_is_exact_however_large(value: int | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("count", "many", "text"), [(1, None, "1 job"), (1200, None, "1,200 jobs"), (2, "jobses", "2 jobses")]
)
def test_a_count_has_its_noun(count: int, many: str | None, text: str) -> None:
    assert wording.plural(count, "job", many) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "\N{EN DASH}"), (0.0, "0"), (4.2, "4.2"), (10.0, "10"), (0.256, "0.26")]
)
def test_a_rate_has_two_figures_behind_the_point_at_most(value: float | None, text: str) -> None:
    assert wording.rate(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(-0.2, "0.0 s"), (0.44, "0.4 s"), (9.97, "10 s"), (90.0, "1 min")])
def test_a_short_length_of_time_has_a_tenth(seconds: float, text: str) -> None:
    assert wording.brief(seconds) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (None, "\N{EN DASH}"),
        (timedelta(seconds=-90), "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, minutes=5, seconds=59), "2 h 5 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (timedelta(days=3, minutes=4), "3 d"),
    ],
)
def test_a_span_has_two_units_at_most_and_is_never_negative(length: timedelta | float | None, text: str) -> None:
    assert wording.span(length) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, "\N{EN DASH}"),
        (NOW - timedelta(minutes=5), "5 min ago"),
        (NOW, "just now"),
        (NOW + timedelta(hours=1), "just now"),
    ],
)
def test_what_was_is_never_ahead(at: datetime | None, text: str) -> None:
    assert wording.ago(at, NOW) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [(None, "\N{EN DASH}"), (NOW + timedelta(minutes=5), "in 5 min"), (NOW, "now"), (NOW - timedelta(hours=1), "now")],
)
def test_a_wait_is_never_negative(at: datetime | None, text: str) -> None:
    assert wording.until(at, NOW) == text


@pytest.mark.parametrize(("at", "text"), [(None, "\N{EN DASH}"), (NOW, "2026-11-29 10:00:00 UTC")])
def test_an_instant_is_said_in_utc(at: datetime | None, text: str) -> None:
    assert wording.instant(at) == text


@pytest.mark.parametrize(
    ("part", "whole", "share"), [(0, 0, 0), (1, 3, 33), (999, 1000, 99), (3, 3, 100), (9, 3, 100), (-1, 3, 0)]
)
def test_only_all_of_it_is_100_percent(part: int, whole: int, share: int) -> None:
    assert wording.percent(part, whole) == share


@pytest.mark.parametrize(
    ("parts", "whole", "placed"),
    [
        ([1, 1], 4, [(0, 250), (250, 250)]),
        ([1, 0, 999_999], 1_000_000, [(0, 6), (6, 0), (6, 994)]),
        ([], 0, []),
        ([3, 3], 2, [(0, 500), (500, 500)]),
    ],
)
def test_a_part_of_a_bar_is_wide_enough_to_be_seen_and_all_fit(
    parts: list[int], whole: int, placed: list[tuple[int, int]]
) -> None:
    assert wording.segments(parts, whole) == placed
