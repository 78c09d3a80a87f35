"""Metadata is what a line carries beside the known columns: any JSON, bounded, handed back unchanged."""

import json
import math
from collections.abc import Mapping, Sequence

from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.plain_text import LABEL_MAX, storable

_JSON_TYPES = ("text", "number", "true", "false", "null", "list", "object")

JSON = str | int | float | bool | None | Sequence["JSON"] | Mapping[str, "JSON"]
"""A value that JSON can hold."""

METADATA_MAX_BYTES = 16_384
"""Largest metadata of one line, as compact JSON in UTF-8."""
DEPTH_MAX = 32
"""Deepest nesting of lists and objects."""
_NUMBER_MAX = 10**300
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def metadata(raw: Mapping[str, object]) -> dict[str, JSON]:
    """A copy of the mapping, when all of it is JSON that Postgres can hold and its size is bounded."""
    if not raw:
        return {}
    budget = _Budget(METADATA_MAX_BYTES)
    checked = {_name(name): _json(value, 1, budget) for name, value in raw.items()}
    size = len(_COMPACT.encode(checked).encode())
    if size > METADATA_MAX_BYTES:
        raise _too_large(size)
    return checked


class _Budget:
    """Stops the walk early: every value takes at least one byte, so more values than bytes are too many."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _too_large(METADATA_MAX_BYTES + 1)


def _json(value: object, depth: int, budget: _Budget) -> JSON:
    budget.spend()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(storable(value))
    if isinstance(value, int | float):
        return _number(value)
    if depth >= DEPTH_MAX:
        raise UnfitError(f"is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return {_name(name): _json(inner, depth + 1, budget) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner, depth + 1, budget) for inner in value]
    raise UnfitError(f"holds {quoted(value)}, which JSON cannot", _JSON_TYPES)


def _number(value: float) -> JSON:
    if not (math.isfinite(value) if isinstance(value, float) else -_NUMBER_MAX < value < _NUMBER_MAX):
        raise UnfitError("holds a number that is not finite or too large")
    return value


def _name(value: object) -> str:
    name = storable(value)
    if not name or len(name) > LABEL_MAX:
        raise UnfitError(f"has a name of {len(name):,} characters, permitted are 1 to {LABEL_MAX}")
    return name


def _too_large(size: int) -> UnfitError:
    return UnfitError(f"has {size:,} bytes or more as JSON, permitted are {METADATA_MAX_BYTES:,}")
