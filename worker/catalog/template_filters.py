"""Filters and tests of a recipe's template: each checks how long its result will be before it makes it."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from worker.core.rules.fault import UnfitError

VALUE_MAX = 80_000
"""Characters of a text at any time: no model takes a prompt of more than 20,000."""
MEMBERS_MAX = 1_000
"""Members of a list that a filter goes through."""
_NUMBER_BITS_MAX = 256
_DIGITS_MAX = 15
_Number = TypeVar("_Number", int, float)
_WORD = re.compile(r"([-\s({\[<]+)")


class Missing:
    """A field that the item does not have, or a part of one that it does not have."""

    def __init__(self, name: str) -> None:
        """Keep the name for the fault."""
        self.name = name


def text(value: object) -> str:
    """Return the value as text for a prompt; raise UnfitError for one that is no text or number, or too long."""
    if isinstance(value, str):
        return _fitting(value)
    if isinstance(value, int | float):
        return str(_fitting_number(value))
    raise UnfitError(f"{_kind(value)} is neither text nor a number")


def checked_length(length: int) -> None:
    """Raise UnfitError for a text that would be longer than any prompt."""
    if length > VALUE_MAX:
        raise UnfitError(f"it makes a text of more than {VALUE_MAX:,} characters")


def _fitting(value: str) -> str:
    checked_length(len(value))
    return value


def _fitting_number(value: _Number) -> _Number:
    if isinstance(value, int) and value.bit_length() > _NUMBER_BITS_MAX:
        raise UnfitError(f"a number has more than {_NUMBER_BITS_MAX} bits")
    return value


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return _fitting_number(value)
    raise UnfitError(f"{_kind(value)} is not a number")


def _members(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UnfitError(f"{_kind(value)} is not a list")
    if len(value) > MEMBERS_MAX:
        raise UnfitError(f"a list has more than {MEMBERS_MAX:,} members")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", tuple: "a list", str: "a text", bool: "a truth value"}
    return "nothing" if value is None else names.get(type(value), "a number")


def _count_argument(value: object, what: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise UnfitError(f"the {what} must be a whole number from 0 to {most:,}")
    return value


def _abs(value: Any) -> float:
    return abs(_number(value))


def _capitalize(value: Any) -> str:
    return _fitting(text(value).capitalize())


def _default(value: Any, default_value: Any = "", boolean: Any = False) -> Any:  # noqa: FBT002 - Jinja's own signature
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _first(value: Any) -> Any:
    return _end(value, 0)


def _last(value: Any) -> Any:
    return _end(value, -1)


def _end(value: Any, at: int) -> Any:
    members = text(value) if isinstance(value, str) else _members(value)
    if not members:
        raise UnfitError("an empty list or text has no first and no last member")
    return members[at]


def _float(value: Any, default: Any = 0.0) -> Any:
    try:
        return float(text(value))
    except ValueError:
        return default


def _int(value: Any, default: Any = 0) -> Any:
    try:
        return int(value) if isinstance(value, float) else _fitting_number(int(text(value)))
    except OverflowError:
        return default
    except UnfitError:
        raise
    except ValueError:
        return default


def _join(value: Any, d: Any = "") -> str:
    parts, separator = [text(each) for each in _members(value)], text(d)
    checked_length(sum(map(len, parts)) + len(separator) * max(0, len(parts) - 1))
    return separator.join(parts)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | tuple | dict):
        raise UnfitError(f"{_kind(value)} has no length")
    return len(value)


def _lower(value: Any) -> str:
    return _fitting(text(value).lower())


def _replace(value: Any, old: Any, new: Any, count: Any = None) -> str:
    whole, before, after = text(value), text(old), text(new)
    times = whole.count(before)
    if count is not None:
        times = min(times, _count_argument(count, "count", VALUE_MAX + 1))
    checked_length(len(whole) + times * (len(after) - len(before)))
    return whole.replace(before, after, times)


def _round(value: Any, precision: Any = 0, method: Any = "common") -> Any:
    number = _number(value)
    digits = _count_argument(precision, "precision", _DIGITS_MAX)
    if method == "common":
        return round(number, digits)
    if method not in {"ceil", "floor"}:
        raise UnfitError("the method must be common, ceil or floor")
    if not math.isfinite(number):
        return number
    turned: Callable[[float], int] = math.ceil if method == "ceil" else math.floor
    return turned(number * 10**digits) / 10**digits


def _title(value: Any) -> str:
    return _fitting("".join(word[:1].upper() + word[1:].lower() for word in _WORD.split(text(value)) if word))


def _trim(value: Any, chars: Any = None) -> str:
    return text(value).strip(None if chars is None else text(chars))


def _truncate(value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = 5) -> str:  # noqa: FBT002
    whole, tail = text(value), text(end)
    most = _count_argument(length, "length", VALUE_MAX)
    if len(whole) <= most + _count_argument(leeway, "leeway", VALUE_MAX):
        return whole
    if most < len(tail):
        raise UnfitError("the length is shorter than the end")
    kept = whole[: most - len(tail)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + tail


def _upper(value: Any) -> str:
    return _fitting(text(value).upper())


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _float,
    "int": _int,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _lower,
    "replace": _replace,
    "round": _round,
    "string": text,
    "title": _title,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _upper,
}
"""Filters by the names and with the arguments that Jinja gives them; the value comes first."""
FOR_MISSING = frozenset({"d", "default", "defined", "undefined"})
"""Filters and tests that may be given a field which is not there."""
TESTS: Mapping[str, Callable[[Any], bool]] = {
    "defined": lambda value: not isinstance(value, Missing),
    "undefined": lambda value: isinstance(value, Missing),
    "none": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float),
    "string": lambda value: isinstance(value, str),
}
"""Tests by the names that Jinja gives them."""
