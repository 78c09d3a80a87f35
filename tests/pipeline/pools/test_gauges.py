"""The metrics of an account of a pool have what the provider has charged its key, and nothing of another's."""

import pytest

from tests.archive.conftest import archive, seal
from tests.pipeline.pools.conftest import NAMES, Fleet
from worker.engine import dispatch
from worker.metrics import collector


@pytest.fixture
def books(fleet: Fleet) -> Fleet:
    """Return accounts that have made the images of one batch, and of one that is a single account's."""
    fleet.submit(9)
    fleet.any.submit({"key": "plain", "prompt": "A lamp"}, account="studio")
    fleet.limit(window=3)
    fleet.run()
    return fleet


def credits_in(fleet: Fleet, state: str) -> dict[str, float | None]:
    """Return what the metrics say of each account's credits in a state."""
    found = collector.registry(fleet.any.services.database, fleet.any.clock)
    return {name: found.get_sample_value("darkroom_credits", {"account": name, "state": state}) for name in NAMES}


def charged(fleet: Fleet) -> dict[str, float | None]:
    """Return what each account at the provider was charged."""
    return {name: fleet.providers[name].wallet()["charged"] for name in NAMES}


def test_each_account_of_a_pool_has_spent_what_its_key_was_charged(books: Fleet) -> None:
    assert credits_in(books, "spent") == charged(books)


def test_what_accounts_have_spent_is_the_same_when_the_books_are_closed_and_archived(books: Fleet) -> None:
    seal(books.any)
    sealed = credits_in(books, "spent")

    archive(books.any)

    assert (sealed, credits_in(books, "spent")) == (charged(books), charged(books))


def test_what_an_account_of_a_pool_holds_is_not_spent(fleet: Fleet) -> None:
    fleet.submit(3)
    fleet.limit(window=1)

    dispatch.run(fleet.nodes["studio"].services)

    assert credits_in(fleet, "held") == {"club": 0, "shop": 0, "studio": 4}
    assert credits_in(fleet, "spent") == dict.fromkeys(NAMES, 0)
