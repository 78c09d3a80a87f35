"""References that accept a connection and stay silent hold their message up for a bounded time."""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from worker.core.rules.fault import UnfitError
from worker.intake.reference_store import AT_ONCE, ReferenceStore
from worker.intake.rules.references import RemoteUrl
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.fetch.budget import FetchBounds, FetchBudget
from worker.storage.store import open_store

LOOPBACK = AddressPolicy(schemes=frozenset({"http"}), is_loopback_permitted=True)
SILENT = 240


def test_references_that_stay_silent_take_no_longer_together_than_is_permitted(tmp_path: Path) -> None:
    budget = FetchBudget(FetchBounds(time=timedelta(seconds=1)))
    reference_store = ReferenceStore(open_store(tmp_path / "store"), addresses=LOOPBACK, budget=budget)
    with socket.create_server(("127.0.0.1", 0), backlog=SILENT) as server:
        sources = [RemoteUrl(url=f"http://127.0.0.1:{server.getsockname()[1]}/{n}.png") for n in range(SILENT)]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for source in sources:
                reference_store.begin(source, pool)
            reasons = [reason(reference_store, source) for source in sources]

    assert [each.startswith("could not be fetched") for each in reasons[:AT_ONCE]] == [True] * AT_ONCE
    assert all("the references of one message may take 1 s together" in each for each in reasons[2 * AT_ONCE :])


def reason(reference_store: ReferenceStore, source: RemoteUrl) -> str:
    with pytest.raises(UnfitError) as unfit:
        reference_store.take(source)
    return unfit.value.reason
