"""Canonical JSON: the same value is the same text for ever, so that a hash over it can be compared."""

import json
from collections.abc import Mapping
from functools import lru_cache

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: object) -> str:
    """Return the value as JSON in ASCII, its names sorted, without blanks."""
    # What most lines of a manifest have spares them the encoder, which takes longer to be set up than to run.
    if value is None:
        return "null"
    return "{}" if value == {} else _ENCODER.encode(value)


def canonical_values(values: Mapping[str, str | int | float]) -> str:
    """Return the same for a few values by name, of which a million lines mostly have a dozen different ones."""
    if all(map(_is_text, values.values())):
        return _canonical_pairs(tuple(values.items()))
    return canonical(dict(values))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@lru_cache(maxsize=256)
def _canonical_pairs(pairs: tuple[tuple[str, str | int | float], ...]) -> str:
    return canonical(dict(pairs))
