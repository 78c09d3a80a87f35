"""A message to a hook as it is sent: the body, the headers, and the signature that proves who wrote it."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

EVENT_HEADER = "Darkroom-Event"
"""What happened: ``live``."""
DELIVERY_HEADER = "Darkroom-Delivery"
"""The message's id; a copy of a message has the same one."""
TIMESTAMP_HEADER = "Darkroom-Timestamp"
"""When it was sent, in whole seconds since 1970; an old one may be refused."""
SIGNATURE_HEADER = "Darkroom-Signature"
"""``v1=`` and the HMAC-SHA256, in hex, over the timestamp, a full stop and the body."""


def body(delivery_id: UUID, payload: Mapping[str, Any], url: Callable[[str], str]) -> bytes:
    """Return the bytes that are sent: the same for each try, with the address of each file."""
    items = [each | {"url": url(each["file"])} for each in payload.get("items", ())]
    content = {"id": str(delivery_id), **payload, "items": items}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def facts(delivery_id: UUID, payload: Mapping[str, Any]) -> dict[str, str]:
    """Return what a command finds in its environment beside the message."""
    return {
        "DARKROOM_EVENT": str(payload["event"]),
        "DARKROOM_CATALOG": str(payload.get("catalog", "")),
        "DARKROOM_DELIVERY": str(delivery_id),
    }


def headers(delivery_id: UUID, event: str, content: bytes, *, secret: str, timestamp: int) -> dict[str, str]:
    """Return the headers of a POST."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "darkroom",
        EVENT_HEADER: event,
        DELIVERY_HEADER: str(delivery_id),
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: signature(content, secret=secret, timestamp=timestamp),
    }


def signature(content: bytes, *, secret: str, timestamp: int) -> str:
    """Return the signature of a body that is sent at this second."""
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + content, hashlib.sha256)
    return f"v1={signed.hexdigest()}"
