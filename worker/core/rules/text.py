"""Text that Postgres and UTF-8 can hold, and canonical JSON, whose hash can be checked later."""

import json
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from worker.core.rules.fault import UnfitError, quoted

LABEL_MAX = 200
"""Longest name, owner, token or column name in characters."""


def storable(value: object) -> str:
    """The value as it is, when it is text without NUL and without half a surrogate pair."""
    if not isinstance(value, str):
        raise UnfitError(f"must be text, not {quoted(value)}")
    if "\0" in value:
        raise UnfitError("holds a NUL character, which cannot be stored")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise UnfitError("holds half of a surrogate pair, which is not a character")
    return value


def label(value: object) -> str:
    """The value as it is, when it is one short line of visible text."""
    text = storable(value)
    if not text.strip():
        raise UnfitError("is blank")
    if len(text) > LABEL_MAX:
        raise UnfitError(f"has {len(text):,} characters, permitted are {LABEL_MAX}")
    if not is_visible(text):
        raise UnfitError(f"holds a control or invisible character: {quoted(text)}")
    return text


def is_visible(text: str) -> bool:
    """Whether nothing in it is a control, format or unassigned character or a line separator."""
    return (text.isascii() and text.isprintable()) or not any(_is_hidden(char) for char in text)


def _is_hidden(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "C" or category in {"Zl", "Zp"}


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: object) -> str:
    """Return the value as JSON in ASCII, its names sorted, without blanks."""
    # What most lines of a manifest have spares them the encoder, which takes longer to be set up than to run.
    if value is None:
        return "null"
    return "{}" if value == {} else _ENCODER.encode(value)


def canonical_values(values: Mapping[str, str | int | float]) -> str:
    """Return the canonical JSON of a few values by name, cached: a million lines mostly have a dozen of them."""
    if all(map(_is_text, values.values())):
        return _canonical_pairs(tuple(values.items()))
    return canonical(dict(values))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@lru_cache(maxsize=256)
def _canonical_pairs(pairs: tuple[tuple[str, str | int | float], ...]) -> str:
    return canonical(dict(pairs))
