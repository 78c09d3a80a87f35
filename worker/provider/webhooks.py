"""Webhooks of the provider: whether one is authentic, and which generation it is about.

How the provider signs is not documented (provider contract, section 7), so several schemes can be tried in turn. What
a webhook says is never believed: it is a hint that the provider should be asked.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

TOLERANCE = timedelta(minutes=5)
"""The most by which the time in a signature may be off; Standard Webhooks has the same."""
EVENT_TYPES = ("generation.succeeded", "generation.failed")
"""All that are documented (api-webhooks, read 2026-11-28)."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - the documented beginning of a secret


class Verifier(StrEnum):
    """A scheme by which a webhook may be signed."""

    STANDARD = "standard"
    """Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``."""
    STRIPE = "stripe"
    """As Stripe signs: ``t=...,v1=...`` in a header whose name ends in ``signature``."""
    NONE = "none"
    """A webhook without a signature is believed for its path alone."""


DEFAULT = (Verifier.STANDARD, Verifier.STRIPE, Verifier.NONE)
"""A signature of a scheme that is known has to be right; without one the path has to do."""


def is_authentic(
    verifiers: Sequence[Verifier], *, headers: Mapping[str, str], body: bytes, secret: str | None, now: datetime
) -> bool:
    """Have the first verifier decide whose scheme's headers are there; none of them: it is not authentic.

    ``headers`` have lower-case names. ``secret`` may be several, with spaces: one of them has to be right. ``now`` is
    compared with the time of the signature, which makes a copy of an old webhook worthless.
    """
    secrets: Sequence[str | None] = (secret or "").split() or (None,)
    for verifier in verifiers:
        verdicts = [_verdict(verifier, headers, body, each, now) for each in secrets]
        if verdicts[0] is not None:
            return any(verdicts)
    return False


def _verdict(
    verifier: Verifier, headers: Mapping[str, str], body: bytes, secret: str | None, now: datetime
) -> bool | None:
    """Return None when the webhook is not signed by this scheme."""
    match verifier:
        case Verifier.STANDARD:
            return _is_standard(headers, body, secret) if "webhook-signature" in headers else None
        case Verifier.STRIPE:
            found = _stripe_header(headers)
            return None if found is None else _is_stripe(found, body, secret, now)
        case Verifier.NONE:
            return True


def _is_standard(headers: Mapping[str, str], body: bytes, secret: str | None) -> bool:
    """Check it by the library, which compares the timestamp with the system's clock."""
    if secret is None:
        return False
    try:
        Webhook(_key(secret)).verify(body, dict(headers))
    except (WebhookVerificationError, ValueError):
        # It also reads the body as JSON, which a forged one need not be.
        return False
    return True


def _key(secret: str) -> bytes:
    """Return the key of a secret, which is base64 by the standard; the provider does not say whether its is."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


_STRIPE = re.compile(r"t=([0-9]{1,12})((?:,[a-z0-9]{1,8}=[0-9a-f]{1,128}){1,10})")


def _stripe_header(headers: Mapping[str, str]) -> str | None:
    named = (value for name, value in headers.items() if name.endswith("signature") and name != "webhook-signature")
    return next((value for value in named if value.startswith("t=") and ",v1=" in value), None)


def _is_stripe(header: str, body: bytes, secret: str | None, now: datetime) -> bool:
    found = _STRIPE.fullmatch(header.replace(", ", ","))
    if found is None or secret is None:
        return False
    if abs(int(found[1]) - now.timestamp()) > TOLERANCE.total_seconds():
        return False
    signed = f"{found[1]}.".encode() + body
    given = [part.removeprefix("v1=") for part in found[2].split(",") if part.startswith("v1=")]
    # Whether the prefix is a part of the key is not documented; Stripe takes the secret as it is.
    keys = (secret.encode(), secret.removeprefix(SECRET_PREFIX).encode())
    wanted = [hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys]
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a webhook says, as far as it is used."""

    type: str
    generation_id: str | None
    """The provider's id; None when it names none."""


_ID = re.compile(r"[!-~]{1,200}")


def read(body: bytes) -> Event | None:
    """Read a payload; None when it is none. Under which key the generation is, is not documented."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        return None
    return Event(type=payload["type"][:100], generation_id=_generation_id(payload))


def _generation_id(payload: Mapping[str, Any]) -> str | None:
    data = payload.get("data")
    inner = data if isinstance(data, dict) else {}
    places = (inner.get("object"), inner.get("generation"), inner, payload.get("generation"), payload.get("object"))
    for place in places:
        if isinstance(place, dict) and isinstance(place.get("id"), str) and _ID.fullmatch(place["id"]):
            return str(place["id"])
    return None
