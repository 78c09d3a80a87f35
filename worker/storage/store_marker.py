"""The identity of a store: a small JSON file in it with a random id and the version of its format."""

import json
from uuid import UUID, uuid4

MARKER = ".darkroom-store"
"""Its name below the store."""
_FORMAT = 1


class MarkerFaulty(Exception):
    """The file is there and cannot be used; the text says why and what to do."""


def new() -> bytes:
    """Return the content of a file with a new identity."""
    return json.dumps({"format": _FORMAT, "id": str(uuid4())}).encode() + b"\n"


def parse(content: bytes) -> UUID:
    """Return the identity; raises MarkerFaulty."""
    try:
        found = json.loads(content)
        version, identity = found["format"], UUID(found["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MarkerFaulty(f"{MARKER} is damaged: put it back, or remove it and adopt the store") from None
    if version != _FORMAT:
        raise MarkerFaulty(f"{MARKER} has the format {version}: upgrade Darkroom")
    return identity
