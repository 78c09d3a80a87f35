"""kombu's JSON envelope in a Redis list: read without trust, and made anew so that kombu cannot fail on it."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from worker.core.rules.fault import plain
from worker.intake.rules.delivery import KEPT_BYTES, Unreadable

UNREADABLE = "darkroom-unreadable"
"""Header of an envelope that stands for a message which was not readable; its value says why, the size, the hash."""

COMPRESSION = "darkroom-compression"
"""Where the header ``compression`` is kept, so that kombu does not decompress without a bound."""

_HEADERS = ("task", "id", "eta", "expires", "ticket", "compression", COMPRESSION, "traceparent")
_TEXT_MAX = 1_000


def sound(raw: bytes, *, queue: str, tag: str) -> dict[str, Any]:
    """Make a well-formed envelope of whatever lay in the list of a queue.

    Only what Darkroom reads is kept: a header or a property of another name or type could make kombu fail now or when
    the message is put back. ``tag`` names this delivery; the producer's own may be missing, or used twice.
    """
    try:
        envelope = _object(raw)
        body, headers = _body(envelope), kept_headers(_part(envelope, "headers"))
        content_type, priority = envelope.get("content-type"), _part(envelope, "properties").get("priority")
    except Unreadable as error:
        body, headers = raw[:KEPT_BYTES], unreadable(raw, error.reason)
        content_type = priority = None
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": _scalar(content_type),
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": {
            "delivery_tag": tag,
            "delivery_mode": 2,
            "priority": priority if isinstance(priority, int) and 0 <= priority <= 9 else 0,  # noqa: PLR2004
            "body_encoding": "base64",
            # The default exchange leads back to the queue when kombu puts the message back, whatever was declared.
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def unreadable(raw: bytes, reason: str) -> dict[str, Any]:
    """Headers of an envelope that carries the first bytes of a message that was not readable."""
    return {UNREADABLE: {"reason": reason, "size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}}


def kept_headers(headers: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the headers that Darkroom reads, each short and flat; the one that kombu acts on gets another name."""
    kept: dict[str, Any] = {name: _scalar(headers[name]) for name in _HEADERS if name in headers}
    if not isinstance(headers.get("id"), str):
        # What stands for a value of another kind would be the same name for different messages.
        kept.pop("id", None)
    if "compression" in kept:
        kept[COMPRESSION] = kept.pop("compression")
    if is_unreadable(headers.get(UNREADABLE)):
        marked = headers[UNREADABLE]
        kept[UNREADABLE] = {name: marked[name] for name in ("reason", "size", "sha256")}
    return kept


def is_unreadable(value: object) -> bool:
    """Whether a header says in due form that the message itself was not readable."""
    if not isinstance(value, Mapping):
        return False
    size, sha256 = value.get("size"), value.get("sha256")
    is_sized = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**62
    is_hashed = isinstance(sha256, str) and len(sha256) == hashlib.sha256().digest_size * 2 and sha256.isalnum()
    reason = value.get("reason")
    return is_sized and is_hashed and isinstance(reason, str) and len(reason) <= _TEXT_MAX and reason.isprintable()


def is_restorable(kept: bytes) -> bool:
    """Whether kombu can put an unacknowledged message back: an envelope, its exchange and its routing key."""
    try:
        message, exchange, routing_key = json.loads(kept.decode("utf-8", "replace"))
        parts = (message, message["headers"], message["properties"], message["properties"]["delivery_info"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return all(isinstance(each, dict) for each in parts) and isinstance(exchange, str) and isinstance(routing_key, str)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        envelope = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise Unreadable("the message is no envelope of kombu: it is not UTF-8") from error
    except RecursionError as error:
        raise Unreadable("the message is no envelope of kombu: it is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"the message is no envelope of kombu: it is not JSON: {plain(str(error))}") from error
    if not isinstance(envelope, dict):
        raise Unreadable("the message is no envelope of kombu: it is not an object")
    return envelope


def _part(envelope: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = envelope.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise Unreadable(f"{name!r} in the message's envelope is not an object")
    return part


def _body(envelope: Mapping[str, Any]) -> bytes:
    body, encoding = envelope.get("body"), _part(envelope, "properties").get("body_encoding")
    if not isinstance(body, str):
        raise Unreadable("'body' in the message's envelope is not text")
    if encoding in (None, "utf-8", "UTF-8"):
        return body.encode("utf-8", "surrogatepass")
    if encoding != "base64":
        raise Unreadable("'body_encoding' in the message's envelope is neither base64 nor utf-8")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable(f"'body' in the message's envelope is not base64: {plain(str(error))}") from error


def _scalar(value: object) -> str | int | float | bool | None:
    """Return a value that JSON holds without nesting; one of another kind becomes its name in angle brackets."""
    if isinstance(value, str):
        return value[:_TEXT_MAX].encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else "<number>"
    return f"<{type(value).__name__}>"
