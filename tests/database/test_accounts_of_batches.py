"""A batch goes to the account that it names, to the one of its pool with the most room, or to its owner's."""

import pytest
from uuid_utils.compat import uuid7

from tests.pipeline.node import Node
from worker.accounts import choosing
from worker.accounts.queries import accounts, pools
from worker.core.db.changes import Author
from worker.intake.write import RequestsRefused

ACCOUNT = "SELECT a.name FROM batch b JOIN account a ON a.id = b.account_id WHERE b.token = :token"
CHAIR = {"prompt": "A chair"}


@pytest.fixture
def pooled(node: Node) -> Node:
    """Return a node whose database has the accounts ``shop`` and ``studio`` in a pool, beside ``default``."""
    with node.services.database.transaction() as tx:
        for name in ("shop", "studio"):
            account_id = accounts.ensure(tx, account_id=uuid7(), name=name, now=node.clock())
            pools.set_pools(tx, account_id, ["bulk"])
    return node


def account_of(node: Node, token: str) -> str:
    name: str = node.query(ACCOUNT, token=token)[0]["name"]
    return name


def author(node: Node) -> Author:
    return Author(actor="mia", reason=None, now=node.clock(), new_id=node.services.new_id)


def set_usual(node: Node, owner: str, *, account: str | None = None, pool: str | None = None) -> None:
    with node.services.database.transaction() as tx:
        choosing.set_usual(tx, owner, account=account, pool=pool, by=author(node))


def test_a_batch_names_its_account(pooled: Node) -> None:
    pooled.submit(CHAIR, token="one", account="studio")
    pooled.submit(CHAIR, token="two")

    assert (account_of(pooled, "one"), account_of(pooled, "two")) == ("studio", "default")


@pytest.mark.parametrize(
    ("field", "known"), [("account", "there are default, shop, studio"), ("pool", "there are bulk")]
)
def test_an_unknown_name_is_a_fault_with_the_known_ones(pooled: Node, field: str, known: str) -> None:
    with pytest.raises(RequestsRefused) as refused:
        pooled.submit(CHAIR, token="one", **{field: "stduio"})

    [fault] = refused.value.faults
    assert (fault.line, fault.field) == (0, field)
    assert known in fault.reason
    assert pooled.query("SELECT id FROM batch") == []


def test_of_a_pool_the_account_with_the_least_to_do_is_taken(pooled: Node) -> None:
    pooled.submit(*[CHAIR] * 5, token="before", account="shop")

    pooled.submit(*[CHAIR] * 10, token="first", pool="bulk")
    pooled.submit(CHAIR, token="second", pool="bulk")

    assert (account_of(pooled, "first"), account_of(pooled, "second")) == ("studio", "shop")


def test_an_owners_batches_go_to_the_owners_account_unless_they_name_another(pooled: Node) -> None:
    set_usual(pooled, "marketing", account="shop")

    pooled.submit(CHAIR, token="one", owner="marketing")
    pooled.submit(CHAIR, token="two", owner="marketing", account="studio")
    pooled.submit(CHAIR, token="three", owner="research")

    assert [account_of(pooled, token) for token in ("one", "two", "three")] == ["shop", "studio", "default"]


def test_an_owners_default_may_be_a_pool_and_is_recorded_and_forgotten(pooled: Node) -> None:
    set_usual(pooled, "marketing", pool="bulk")
    pooled.submit(CHAIR, token="one", owner="marketing")
    set_usual(pooled, "marketing")
    pooled.submit(CHAIR, token="two", owner="marketing")

    changed = pooled.query("SELECT before, after FROM change WHERE subject = 'owner:marketing' ORDER BY id")

    assert (account_of(pooled, "one"), account_of(pooled, "two")) == ("shop", "default")
    assert [(row["before"], row["after"]) for row in changed] == [(None, "pool bulk"), ("pool bulk", None)]


def test_an_owner_cannot_have_an_account_that_is_not_there(pooled: Node) -> None:
    with pytest.raises(choosing.NoAccount, match="there are default, shop, studio"):
        set_usual(pooled, "marketing", account="stduio")
