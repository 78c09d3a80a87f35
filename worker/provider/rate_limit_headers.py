"""Headers in which a provider says how much of its rate limit is left.

Rivya documents none of them (provider contract, section 6). What is read: the IETF draft's ``RateLimit`` in its present
form (``"default";r=0;t=30``, or without ``t`` the window ``w`` of that policy in ``RateLimit-Policy``) and its earlier
one (``limit=100, remaining=0, reset=30``), its earliest fields ``RateLimit-Remaining`` and ``RateLimit-Reset``, and the
customary ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset``. A reset is in seconds from now, or in seconds or
milliseconds since 1970. A value that is not understood is ignored: a header can only slow down.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

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
