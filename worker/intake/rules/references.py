"""The references of a request: how columns name them, and what a name may be: a path, an https address or a hash."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.core.rules.text import is_visible, storable

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


REFERENCE_MAX = 2_048
"""Longest reference in characters."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = ("a path relative to the manifest", "https://...", "sha256:<64 hex digits>")


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A path as the manifest names it; not yet looked for."""

    text: str


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """An https address that is fetched once."""

    url: str


@dataclass(frozen=True, slots=True)
class StoredHash:
    """The SHA-256 of a reference whose bytes are in the store already, in lower-case hex."""

    sha256: str


ReferenceSource = LocalPath | RemoteUrl | StoredHash
"""Where the bytes of a reference come from."""


def reference_source(value: object) -> ReferenceSource:
    """Parse a reference by its form alone; raises UnfitError for an unknown scheme."""
    text = _line(value)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LocalPath(text)
    match scheme[1].lower():
        case "https":
            return RemoteUrl(_address(text))
        case "sha256":
            return StoredHash(_sha256(text[len("sha256:") :]))
        case "http":
            raise UnfitError("an http:// address can be changed in transit; use https://", _KINDS)
        case _:
            raise UnfitError(f"the scheme of {quoted(text)} is not known", _KINDS)


def _line(value: object) -> str:
    text = storable(value)
    if not text.strip():
        raise UnfitError("is blank")
    if len(text) > REFERENCE_MAX:
        raise UnfitError(f"has {len(text):,} characters, permitted are {REFERENCE_MAX:,}")
    if not is_visible(text):
        raise UnfitError(f"holds a control or invisible character: {quoted(text)}")
    return text


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UnfitError(f"{quoted(text)} is not an address: {error}") from error
    if not host or port == 0 or " " in text:
        raise UnfitError(f"{quoted(text)} is not an address of the form https://host/path")
    if "@" in parts.netloc:
        raise UnfitError("an address with a user name or password in it would be stored and shown; leave them out")
    return text


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise UnfitError("a stored reference is named by 64 lower-case hex digits", ("sha256:<64 hex digits>",))
    return text
