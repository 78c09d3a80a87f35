"""Figures, instants and spans as the console's pages write them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

NONE = "\N{EN DASH}"
"""What stands where there is nothing to say."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_TENTHS_BELOW_S = 9.95
_TRACK = 1_000
"""Units that a bar is wide."""
_THINNEST = 6
"""Units of a part that there is but that would be too small to be seen."""


def number(value: int | None) -> str:
    """Return a count or credits with separators, exact however large."""
    return NONE if value is None else f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun; ``many`` None: the noun takes an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def rate(per_second: float | None) -> str:
    """Return a rate with two figures behind the point at most."""
    return NONE if per_second is None else f"{per_second:.2f}".rstrip("0").rstrip(".")


def span(length: timedelta | float | None) -> str:
    """Return a length of time in its two largest units; one below zero is none at all."""
    if length is None:
        return NONE
    seconds = max(0, round(length.total_seconds() if isinstance(length, timedelta) else length))
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        return _two(seconds // _HOUR_S, "h", seconds % _HOUR_S // _MINUTE_S, "min")
    return _two(seconds // _DAY_S, "d", seconds % _DAY_S // _HOUR_S, "h")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def brief(seconds: float) -> str:
    """Return a length of time that may be short; below 10 s to a tenth, and one below zero is none at all."""
    return span(seconds) if seconds >= _TENTHS_BELOW_S else f"{max(0.0, seconds):.1f} s"


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago an instant was; one that is ahead, by another clock, was just now."""
    if at is None:
        return NONE
    return f"{span(now - at)} ago" if (now - at).total_seconds() >= 1 else "just now"


def until(at: datetime | None, now: datetime) -> str:
    """Return in how long an instant comes; one that has passed is now, never a negative wait."""
    if at is None:
        return NONE
    return f"in {span(at - now)}" if (at - now).total_seconds() >= 1 else "now"


def instant(at: datetime | None) -> str:
    """Return an instant to the second, in UTC."""
    return NONE if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def percent(part: int, whole: int) -> int:
    """Return the share in whole percents, rounded down so that 100 means all; 0 of nothing."""
    return 0 if whole <= 0 else min(100, max(0, 100 * part // whole))


def segments(parts: Sequence[int], whole: int) -> list[tuple[int, int]]:
    """Return where each part of a bar of 1,000 units begins and how wide it is; what there is can be seen."""
    total, placed, begin = max(whole, sum(parts), 1), [], 0
    for part in parts:
        width = min(max(_TRACK * part // total, _THINNEST if part else 0), _TRACK - begin)
        placed.append((begin, width))
        begin += width
    return placed
