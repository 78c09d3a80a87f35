"""A reference is named by a path, an https address, or the hash of one that is already stored."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.plain_text import is_visible, storable

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
    """What the text names, judged by its form alone; raises UnfitError for every other scheme."""
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
            raise UnfitError("an http:// address can be changed on its way; use https://", _KINDS)
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
