"""Headers in which a provider says how much of its rate limit is left.

Rivya documents none of them (provider contract, section 6). What is read: the IETF draft's ``RateLimit`` in its present
form (``"default";r=0;t=30``) and its earlier one (``limit=100, remaining=0, reset=30``), its earliest fields
``RateLimit-Remaining`` and ``RateLimit-Reset``, and the customary ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset``.
A reset is in seconds, or in seconds since 1970. A value that is not understood is ignored: a header can only slow down.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

_EPOCH_S = 1_000_000_000
"""A reset above this is an instant since 1970 and not a span: as a span it would be 31 years."""

_NUMBER = r"\s*=\s*(\d{1,12})(?![\d.])"
_REMAINING = re.compile(rf"(?:^|[;,\s])(?:r|remaining){_NUMBER}", re.IGNORECASE)
_RESET = re.compile(rf"(?:^|[;,\s])(?:t|reset){_NUMBER}", re.IGNORECASE)


def wait_until_reset(headers: Mapping[str, str], *, now: Callable[[], datetime]) -> timedelta | None:
    """Return the wait until the limit resets if no request remains; None if one does or nothing usable is said.

    The wait is not bounded here; it is never negative.
    """
    waits = [wait for remaining, wait in _said(headers, now) if remaining == 0 and wait > timedelta(0)]
    return max(waits, default=None)


def _said(headers: Mapping[str, str], now: Callable[[], datetime]) -> Iterator[tuple[int, timedelta]]:
    """Yield requests that remain and the time until the reset, for each policy that is understood."""
    value = headers.get("RateLimit", "")
    # The earlier form lists the parts of one policy with commas, the present one separates policies with them.
    policies = [value] if re.search(r"\bremaining\s*=", value, re.IGNORECASE) else value.split(",")
    for policy in policies:
        remaining, reset = _REMAINING.search(policy), _RESET.search(policy)
        if remaining and reset:
            yield int(remaining[1]), _span(int(reset[1]), now)
    for prefix in ("RateLimit", "X-RateLimit", "X-Rate-Limit"):
        left, at = headers.get(f"{prefix}-Remaining", "").strip(), headers.get(f"{prefix}-Reset", "").strip()
        if _is_whole(left) and _is_whole(at):
            yield int(left), _span(int(at), now)


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,12}", text) is not None


def _span(reset: int, now: Callable[[], datetime]) -> timedelta:
    return timedelta(seconds=reset if reset < _EPOCH_S else reset - now().timestamp())
