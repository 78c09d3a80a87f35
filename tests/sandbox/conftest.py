from collections.abc import Iterator

import pytest

from tests.sandbox.running import Sandbox, start

DAY_S = 86_400
"""Lets all that is still on its way, refunds above all, arrive before the next test."""

QUICK = {"latency_median_s": 0}


@pytest.fixture(scope="session")
def process() -> Iterator[Sandbox]:
    sandbox = start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(process: Sandbox) -> Sandbox:
    """The shared sandbox with the defaults, no latency, no script, a good key and 10,000 credits."""
    process.call("PUT", "/sandbox/settings", json=QUICK).raise_for_status()
    process.call("DELETE", "/sandbox/script")
    process.post("/sandbox/hooks", {"revoke_key": False})
    process.post("/sandbox/clock", {"advance_s": DAY_S})
    process.post("/sandbox/wallet", {"set": 10_000})
    return process
