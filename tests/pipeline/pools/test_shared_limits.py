"""What a batch and its owner may commit is one sum, whichever accounts spend it, and however they meet."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.archive.conftest import broken
from tests.pipeline.pools.conftest import NAMES, Fleet
from worker.batches import control
from worker.engine import dispatch

PRICE = 4
ROUNDS = 15


def meet(fleet: Fleet) -> int:
    """Let a dispatcher of each account do rounds at the same time; return how many jobs were begun."""
    barrier = threading.Barrier(len(NAMES))

    def rounds(name: str) -> int:
        barrier.wait(timeout=10)
        return sum(len(dispatch.run(fleet.nodes[name].services).tickets) for _ in range(ROUNDS))

    with ThreadPoolExecutor(len(NAMES)) as pool:
        return sum(pool.map(rounds, NAMES))


def committed(fleet: Fleet) -> tuple[int, int]:
    """Return what the batch says that it has committed, and what the entries say."""
    [found] = fleet.any.query("""
        SELECT (SELECT sum(committed) FROM batch)::int AS batch,
            (SELECT coalesce(sum(credits), 0) FROM credit_entry WHERE kind = 'hold')::int AS entries""")
    return found["batch"], found["entries"]


def test_accounts_that_meet_at_a_batch_never_commit_more_than_its_cap(fleet: Fleet) -> None:
    fleet.submit(60, credit_cap=10 * PRICE + 3)
    fleet.limit(window=100)

    begun = meet(fleet)

    assert begun == 10
    assert committed(fleet) == (10 * PRICE, 10 * PRICE)
    assert broken(fleet.any) == {}


def test_accounts_that_meet_never_commit_more_than_the_owners_month(fleet: Fleet) -> None:
    node = fleet.any
    control.cap_owner(node.services.database, "mia", 10 * PRICE, node.author(), approve_above=None)
    for token in ("a", "b"):
        fleet.submit(30, token=token, owner="mia")
    fleet.limit(window=100)

    begun = meet(fleet)

    assert (begun, committed(fleet)) == (10, (10 * PRICE, 10 * PRICE))


def test_accounts_that_meet_never_begin_the_same_job(fleet: Fleet) -> None:
    fleet.submit(60)
    fleet.limit(window=100)

    begun = meet(fleet)

    assert begun == 60
    assert fleet.any.query("SELECT count(*) AS jobs FROM job WHERE generations <> 1") == [{"jobs": 0}]
    assert broken(fleet.any) == {}


@pytest.mark.parametrize("window", [5])
def test_each_account_keeps_its_own_window(fleet: Fleet, window: int) -> None:
    fleet.submit(60)
    fleet.limit(window=window)

    meet(fleet)

    assert {name: fleet.states(name).count("active") for name in NAMES} == dict.fromkeys(NAMES, window)
