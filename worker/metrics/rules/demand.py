"""Demand: the requests that nodes may send within the next minute, which autoscalers size the fleet by.

A backlog says nothing of it: a million jobs behind a limit of two requests per second keep one node busy.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor

from worker.accounts.rules import pace

AHEAD = timedelta(minutes=1)
"""How far it looks ahead."""


@dataclass(frozen=True, kw_only=True)
class DemandFacts:
    """What bounds the work of one account now."""

    account: str
    pause_reason: str | None
    may_read: bool
    """Whether what is at the provider is polled and downloaded, also in a pause."""
    blocked_until: datetime | None
    """Until when the provider's answer closed the key."""
    rate: float
    """Requests per second for all, or for the writes where reads have a rate of their own."""
    read_rate: float | None
    due: int
    """Steps that are due within ``AHEAD``."""
    in_flight: int
    max_in_flight: int
    admissible: int
    """Pending jobs within their caps, whose models are not paused; counted up to the window."""
    price: int | None
    """Credits that one of them needs; None: there is none."""
    wallet_left: int | None
    wallet_read_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one account's nodes may do now; ``bound_by`` is what keeps it from being more."""

    account: str
    requests_per_minute: int
    steps_due: int
    jobs_admissible: int
    rate_per_minute: int
    bound_by: str
    """One of paused, blocked, rate, window, wallet and work."""


def demand(facts: DemandFacts, *, now: datetime) -> Demand:
    """Return the requests that may be sent within ``AHEAD``: of due steps and of jobs that may be admitted."""
    opens_at = max(now, facts.blocked_until or now)
    open_for = max(now + AHEAD - opens_at, timedelta(0))
    permitted = floor((facts.rate + (facts.read_rate or 0)) * open_for.total_seconds())
    due = facts.due if facts.pause_reason is None or facts.may_read else 0
    jobs, bound_by = _jobs(facts, now)
    if facts.pause_reason is None and open_for < AHEAD:
        bound_by = "blocked"
    elif due + jobs > permitted:
        bound_by = "rate"
    return Demand(
        account=facts.account,
        requests_per_minute=min(due + jobs, permitted),
        steps_due=due,
        jobs_admissible=jobs,
        rate_per_minute=floor((facts.rate + (facts.read_rate or 0)) * AHEAD.total_seconds()),
        bound_by=bound_by,
    )


def _jobs(facts: DemandFacts, now: datetime) -> tuple[int, str]:
    if facts.pause_reason is not None:
        return 0, "paused"
    # Jobs are counted up to the window: where both are alike, the window is the bound.
    bounds = {"window": max(facts.max_in_flight - facts.in_flight, 0), "work": facts.admissible}
    left = pace.spendable_credits(left=facts.wallet_left, read_at=facts.wallet_read_at, floor=None, now=now)
    if left is not None and facts.price:
        bounds["wallet"] = max(left // facts.price, 0)
    least = min(bounds, key=lambda name: bounds[name])
    return bounds[least], least
