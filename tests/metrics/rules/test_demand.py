"""Demand is what may be done under the limits, not what waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.metrics.rules.demand import DemandFacts, demand

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
FACTS = DemandFacts(
    account="default",
    pause_reason=None,
    may_read=True,
    blocked_until=None,
    rate=2.0,
    read_rate=None,
    due=10,
    in_flight=30,
    max_in_flight=100,
    admissible=50,
    price=4,
    wallet_left=None,
    wallet_read_at=None,
)


@pytest.mark.parametrize(
    ("change", "requests", "bound_by"),
    [
        ({}, 60, "work"),
        ({"rate": 0.5}, 30, "rate"),
        ({"rate": 0.5, "read_rate": 1.0}, 60, "work"),
        ({"max_in_flight": 50}, 30, "window"),
        ({"max_in_flight": 10}, 10, "window"),
        ({"wallet_left": 41, "wallet_read_at": NOW}, 20, "wallet"),
        ({"wallet_left": -5, "wallet_read_at": NOW}, 10, "wallet"),
        ({"wallet_left": 0, "wallet_read_at": NOW, "price": None, "admissible": 0}, 10, "work"),
        ({"pause_reason": "operator"}, 10, "paused"),
        ({"pause_reason": "api_key_invalid", "may_read": False}, 0, "paused"),
        ({"blocked_until": NOW + timedelta(seconds=50)}, 20, "blocked"),
        ({"blocked_until": NOW + timedelta(hours=1)}, 0, "blocked"),
        ({"blocked_until": NOW - timedelta(hours=1)}, 60, "work"),
        ({"admissible": 0, "due": 0, "in_flight": 0}, 0, "work"),
    ],
)
def test_demand_is_bounded_by_limits(change: dict[str, object], requests: int, bound_by: str) -> None:
    found = demand(replace(FACTS, **change), now=NOW)  # type: ignore[arg-type]  # one table for all fields

    assert (found.requests_per_minute, found.bound_by) == (requests, bound_by)
