"""Cursors: where a page ended, in a form that clients hand back and do not read."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from worker.core.rules.fault import UnfitError

NONE = "is not a cursor: take `next` of the page before"


def encode(*parts: object) -> str:
    """Encode the parts as one URL-safe string; none may contain a line feed."""
    return urlsafe_b64encode("\n".join(map(str, parts)).encode()).decode().rstrip("=")


def decode(cursor: str, *, parts: int) -> list[str]:
    """Return so many parts; raise UnfitError for what is no cursor."""
    try:
        found = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("\n")
    except ValueError:  # no base64, no ASCII or no UTF-8
        found = []
    if len(found) != parts:
        raise UnfitError(NONE)
    return found
