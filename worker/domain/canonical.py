"""Canonical JSON: the same value is the same text for ever, so that a hash over it can be compared."""

import json
from collections.abc import Mapping
from functools import lru_cache

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: object) -> str:
    """Give the value as JSON in ASCII, its names sorted, without blanks."""
    # What most lines of a manifest have spares them the encoder, which takes longer to be set up than to run.
    if value is None:
        return "null"
    return "{}" if value == {} else _ENCODER.encode(value)


def canonical_texts(texts: Mapping[str, str]) -> str:
    """Give the same for a few texts by name, of which a million lines have a dozen different ones."""
    return _canonical_pairs(tuple(texts.items()))


@lru_cache(maxsize=256)
def _canonical_pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return canonical(dict(pairs))
