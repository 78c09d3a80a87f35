"""Text is fit to be kept when Postgres and UTF-8 can hold it and its length is within bounds."""

import unicodedata

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


def without_formula(text: str) -> str:
    """The text with an apostrophe before it, where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
