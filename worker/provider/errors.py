"""Map a failed call to an error: by the provider's code first, by the HTTP status second. Read rate limit headers."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import requests
from urllib3 import exceptions as urllib3_errors

from worker.core.rules import errors
from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    ContentRefused,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from worker.provider.answers import Envelope
from worker.provider.session import SendTimeout

LONGEST_WAIT = timedelta(minutes=15)
"""A longer Retry-After is cut to this: one request then probes whether the limit still holds."""
_PAUSING = {reason.value: reason for reason in PauseReason if reason.is_the_providers}
_BY_CODE: dict[str, type[ProviderError]] = {
    "validation_failed": Refused,
    "webhook_url_rejected": Refused,
    "chat_model_not_supported": Refused,
    "chat_attachment_not_supported": Refused,
    "not_found": NotFound,
    "idempotency_conflict": Conflict,
}
# 408, 425 and 499 say that the exchange broke off, not that the request was turned down.
_BROKEN_OFF = frozenset({408, 425, 499})
_ABOUT_THE_CONTENT = frozenset({413, 415, 422})
"""Statuses that speak of what was sent also without a code of the provider's. Any other without one, such as a proxy's
400, 405 or 407, is the word of something on the way, which would say it of every request."""


def from_answer(  # noqa: PLR0911 - one for each class
    *,
    status: int,
    envelope: Envelope,
    retry_after: timedelta | None,
    is_paid: bool,
    refused_content: frozenset[str] = errors.REFUSED_CONTENT,
) -> ProviderError:
    """Return the error for an answer; ``is_paid``: the call was a create.

    ``refused_content`` are the codes of content that is refused, whatever the HTTP status.
    """
    words = (envelope.message, status, envelope.request_id)
    code = envelope.code or f"http_{status}"
    if errors.is_content_refusal(envelope.code, refused_content):
        return ContentRefused(code, *words)
    if code in _PAUSING:
        return AccountPaused(_PAUSING[code], *words)
    if code == "rate_limited" or status == requests.codes.too_many_requests:
        return Throttled(retry_after, *words)
    if status == requests.codes.payment_required:
        return AccountPaused(PauseReason.INSUFFICIENT_CREDITS, *words)
    if "model" in code and 400 <= status < 500:  # noqa: PLR2004 (the class of client errors)
        # No such code is documented; whichever status it has, it turns the request down and not the key.
        return Refused(code, *words)
    if status in {401, 403} and code not in _BY_CODE:
        return AccountPaused(PauseReason.UNAUTHORIZED, *words)
    return (_BY_CODE.get(code) or _by_status(status, is_paid=is_paid, has_code=envelope.code is not None))(code, *words)


def from_transport(error: Exception, *, is_paid: bool, has_begun: bool, is_over: bool = False) -> ProviderError:
    """Turn a call without an answer into an error.

    ``has_begun`` says whether a byte of the request may have left; only while none may is a create free to be sent
    again. ``is_over`` says that the deadline cut the call.
    """
    causes = tuple(_causes(error))
    kind = OutcomeUnknown if is_paid and has_begun else Unavailable
    if is_over:
        return kind("read_timeout" if has_begun else "connect_timeout", "the call took longer than it may")
    return kind(_transport_code(causes, has_begun=has_begun), type(causes[-1]).__name__)


def malformed(detail: str, *, is_paid: bool, status: int | None = None, request_id: str | None = None) -> ProviderError:
    """The error for an answer that cannot be used."""
    return (OutcomeUnknown if is_paid else Unavailable)("malformed", detail, status, request_id)


def parse_date(value: str | None) -> datetime | None:
    """The instant of an HTTP date (RFC 9110, 5.6.7); None if missing or garbage."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else None


def parse_retry_after(value: str | None, *, now: Callable[[], datetime]) -> timedelta | None:
    """The wait that a Retry-After header asks for (RFC 9110, 10.2.3); None if missing, past or garbage.

    A date in it is by the provider's clock, and so should ``now`` be: the answer's own ``Date``, if it has one.
    """
    if value is None:
        return None
    text = value.strip()
    wait = _seconds(text) if re.fullmatch(r"[0-9.]{1,20}", text) else _until(text, now)
    return None if wait is None or wait < timedelta(0) else min(wait, LONGEST_WAIT)


def _by_status(status: int, *, is_paid: bool, has_code: bool) -> type[ProviderError]:
    if status == requests.codes.not_found:
        return NotFound
    if status == requests.codes.conflict and is_paid:
        return Conflict
    if 400 <= status < 500 and status not in _BROKEN_OFF | {409}:  # noqa: PLR2004 (the class of client errors)
        return Refused if has_code or status in _ABOUT_THE_CONTENT else Unavailable
    return OutcomeUnknown if is_paid else Unavailable


def _causes(error: object) -> Iterator[BaseException]:
    # Only what an error wraps is followed: __context__ may be an earlier, unrelated error.
    while isinstance(error, BaseException):
        yield error
        inner = getattr(error, "reason", None) or getattr(error, "original_error", None)
        error = inner or (error.args[0] if error.args else None)


def _transport_code(causes: tuple[BaseException, ...], *, has_begun: bool) -> str:
    named: tuple[tuple[type[BaseException], str], ...] = (
        (urllib3_errors.NameResolutionError, "dns_failure"),
        (urllib3_errors.NewConnectionError, "connect_failed"),
        (urllib3_errors.ConnectTimeoutError, "connect_timeout"),
        (ssl.SSLCertVerificationError, "certificate_refused"),
        (requests.exceptions.InvalidHeader, "unsendable"),
        (requests.exceptions.InvalidURL, "unsendable"),
        (requests.exceptions.InvalidSchema, "unsendable"),
        (SendTimeout, "send_timeout"),
        (requests.ReadTimeout, "read_timeout"),
        (urllib3_errors.ReadTimeoutError, "read_timeout"),
    )
    missing = "connection_lost" if has_begun else "connect_failed"
    return next((code for kind, code in named for cause in causes if isinstance(cause, kind)), missing)


def _seconds(text: str) -> timedelta | None:
    try:
        return timedelta(seconds=min(float(text), LONGEST_WAIT.total_seconds()))
    except ValueError:
        return None


def _until(text: str, now: Callable[[], datetime]) -> timedelta | None:
    moment = parse_date(text)
    return None if moment is None else moment - now()


_EPOCH_S = 1_000_000_000
"""A reset above this is an instant since 1970 and not a span: as a span it would be 31 years."""
_EPOCH_MS = 1_000 * _EPOCH_S
_NUMBER = r"\s*=\s*([0-9]{1,13})(?![0-9.])"
_REMAINING = re.compile(rf"(?:^|[;,\s])(?:r|remaining){_NUMBER}", re.IGNORECASE)
_RESET = re.compile(rf"(?:^|[;,\s])(?:t|reset){_NUMBER}", re.IGNORECASE)
_WINDOW = re.compile(rf"[;\s]w{_NUMBER}", re.IGNORECASE)


def wait_until_reset(headers: Mapping[str, str], *, now: Callable[[], datetime]) -> timedelta | None:
    """Return the wait until the limit resets if no request remains; None if one does or nothing usable is said.

    The wait is positive, and not bounded here.
    """
    resets = [reset for remaining, reset in (*_in_one_field(headers), *_in_fields(headers)) if remaining == 0]
    waits = [wait for reset in resets if (wait := _span(reset, now)) > timedelta(0)]
    return max(waits, default=None)


def _in_one_field(headers: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Yield requests that remain and the reset of each policy that is understood."""
    value = headers.get("RateLimit", "")
    windows = {_name(policy): found for policy in _policies(headers) if (found := _WINDOW.search(policy))}
    # The earlier form lists the parts of one policy with commas, the present one separates policies with them.
    for policy in [value] if re.search(r"\bremaining\s*=", value, re.IGNORECASE) else value.split(","):
        remaining = _REMAINING.search(policy)
        # A time that is there and makes no sense is not replaced by the window.
        has_time = re.search(r";\s*t\s*=", policy, re.IGNORECASE)
        reset = _RESET.search(policy) if has_time or "reset" in policy.lower() else windows.get(_name(policy))
        if remaining and reset:
            yield int(remaining[1]), int(reset[1])


def _in_fields(headers: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Yield the same of headers that have a field for each."""
    for prefix in ("RateLimit", "X-RateLimit", "X-Rate-Limit"):
        left, reset = headers.get(f"{prefix}-Remaining", "").strip(), headers.get(f"{prefix}-Reset", "").strip()
        if _is_whole(left) and _is_whole(reset):
            yield int(left), int(reset)


def _policies(headers: Mapping[str, str]) -> list[str]:
    return headers.get("RateLimit-Policy", "").split(",")


def _name(policy: str) -> str:
    return policy.split(";", 1)[0].strip()


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,13}", text) is not None


def _span(reset: int, now: Callable[[], datetime]) -> timedelta:
    if reset < _EPOCH_S:
        return timedelta(seconds=reset)
    since_1970_s = reset / 1_000 if reset >= _EPOCH_MS else reset
    return timedelta(seconds=since_1970_s - now().timestamp())
