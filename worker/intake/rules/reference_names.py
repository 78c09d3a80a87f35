"""The references of one request: a list, or the columns ``reference``, ``reference_2``, ``reference_3`` and so on."""

import re
from collections.abc import Mapping
from functools import lru_cache

from worker.core.rules.fault import UnfitError
from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.core.rules.plain_text import storable
from worker.intake.rules.reference_source import reference_source

_LIKE_ONE = re.compile(r"references?[\s_-]*[0-9]*", re.IGNORECASE)


def column(place: int) -> str:
    """Return the name of the column of a reference, counted from 0."""
    return "reference" if place == 0 else f"reference_{place + 1}"


@lru_cache(maxsize=32)
def columns(most: int) -> tuple[str, ...]:
    """Return the columns of so many references; there is always the first."""
    return tuple(column(place) for place in range(max(most, 1)))


_ALL = columns(max(spec.max_references for spec in MODELS.values()))
_FURTHER = _ALL[1:]


def is_numbered(name: str) -> bool:
    """Whether it is the column of a further reference."""
    return name in _FURTHER


def references(raw: Mapping[str, object], spec: ModelSpec) -> tuple[str, ...]:
    """Return the references that a request names, in their order, within the model's limit; raise UnfitError."""
    if raw.keys().isdisjoint(_ALL):
        return ()
    given = _given(raw)
    if given and not spec.max_references:
        raise UnfitError(f"{spec.id} takes no reference")
    if len(given) > spec.max_references:
        raise UnfitError(f"{spec.id} takes at most {spec.max_references}, and {len(given)} are given")
    return tuple(_named(value, place) for place, value in enumerate(given))


def is_misspelt(name: str, spec: ModelSpec) -> bool:
    """Whether the name of a column is like that of a reference, which would be left out in silence."""
    if _LIKE_ONE.fullmatch(name) is None or name in _ALL:
        return False
    return spec.max_references > 1 or any(char.isdigit() for char in name)


def _given(raw: Mapping[str, object]) -> list[object]:
    first = raw.get("reference")
    further = [raw.get(name) for name in _FURTHER]
    if isinstance(first, list):
        if any(map(_is_there, further)):
            raise UnfitError("is a list: the columns reference_2 and so on must be empty then")
        return first
    found = [first, *further]
    while found and not _is_there(found[-1]):
        found.pop()
    return found


def _is_there(value: object) -> bool:
    return value is not None and value != ""


def _named(value: object, place: int) -> str:
    if not _is_there(value):
        raise UnfitError(f"{column(place)} is empty, and a later one is given: leave no gap")
    try:
        reference_source(value)
        return storable(value)
    except UnfitError as unfit:
        where = f"{column(place)} " if place else ""
        raise UnfitError(f"{where}{unfit.reason}", unfit.permitted) from unfit
