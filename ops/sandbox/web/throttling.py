"""When a request is one too many, and how the answer says so."""

import math
import time
from email.utils import formatdate

from ops.sandbox.choices import Fault, Kind, RetryAfter
from ops.sandbox.keys import ApiKey
from ops.sandbox.web.errors import ApiError
from ops.sandbox.world import World


def refuse_if_throttled(world: World, fault: Fault | None) -> None:
    """Raises ApiError(`rate_limited`) when the fault is one of throttling."""
    if fault is Fault.THROTTLE:
        raise _rate_limited(world.settings.throttle_retry_after_s, RetryAfter.SECONDS, {})
    if fault is Fault.THROTTLE_BARE:
        raise _rate_limited(0, RetryAfter.ABSENT, {})


def take(world: World, caller: ApiKey | None, kind: Kind) -> dict[str, str]:
    """The request is counted; gives the headers that its answer has. Raises ApiError(`rate_limited`)."""
    settings = world.settings
    if not settings.rate_limit:
        return {}
    who = caller.id if caller else "public"
    verdict = world.limits.take(f"{who}:{kind}" if settings.rate_per_endpoint else who, world.now(), settings)
    headers = {
        "X-RateLimit-Limit": str(settings.rate_limit),
        "X-RateLimit-Remaining": str(verdict.left),
        "X-RateLimit-Reset": str(math.ceil(verdict.reset_s)),
    }
    headers = headers if settings.rate_headers else {}
    if verdict.wait_s is not None:
        raise _rate_limited(verdict.wait_s, settings.retry_after, headers)
    return headers


def _rate_limited(wait_s: float, how: RetryAfter, headers: dict[str, str]) -> ApiError:
    match how:
        case RetryAfter.SECONDS:
            headers = {**headers, "Retry-After": str(math.ceil(wait_s))}
        case RetryAfter.HTTP_DATE:
            # The caller compares it with its own clock, so the sandbox's moved one is of no use here.
            at = formatdate(math.ceil(time.time() + wait_s), usegmt=True)
            headers = {**headers, "Retry-After": at}
        case RetryAfter.ABSENT:
            pass
    return ApiError(429, "rate_limited", "Too many requests in the current window.", headers)
