"""A key or an address of another account at the provider: nothing that may be paid already is sent there."""

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.accounts import binding
from worker.accounts.binding import OtherKey, OtherProvider, Place
from worker.core.db.changes import Author
from worker.engine import dispatch
from worker.provider.client import Client


@pytest.fixture
def other(sandbox: Provider) -> Provider:
    """Return another account at the same address."""
    return sandbox.sibling(f"{sandbox.account}_other")


@pytest.fixture
def sister(sandbox: Provider) -> Provider:
    """Return another key of the same account."""
    return sandbox.sibling(sandbox.account)


def bind(node: Node, key: str, base_url: str) -> int:
    """Bind the account as a node with this key and address does when it starts."""
    client = Client(base_url=base_url, api_key=key, now=node.clock)
    return binding.bind(
        node.services.database, client, node.services.account_id, place(key, base_url), author(node), is_node=True
    )


def place(key: str, base_url: str) -> Place:
    return Place(base_url=base_url, api_key=key, new_mark=binding.mark(key, b"salt"))


def author(node: Node) -> Author:
    return Author(actor="ann", reason="rotated", now=node.clock(), new_id=uuid7)


def lose_an_answer(node: Node, sandbox: Provider) -> None:
    """Leave one generation sending, its answer lost."""
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))


def test_a_lost_answer_is_not_asked_for_under_a_key_of_another_account(
    node: Node, sandbox: Provider, other: Provider
) -> None:
    bind(node, sandbox.key, sandbox.base_url)
    lose_an_answer(node, sandbox)

    with pytest.raises(OtherKey, match="darkroom account same-key"):
        bind(node, other.key, other.base_url)

    assert node.query("SELECT binding FROM account") == [{"binding": 1}]


def test_another_key_of_the_same_account_goes_on_with_what_is_open(
    node: Node, node_for: NodeFor, sandbox: Provider, sister: Provider
) -> None:
    bind(node, sandbox.key, sandbox.base_url)
    node.submit({"prompt": "The first"})
    node.run_until_quiet()
    lose_an_answer(node, sandbox)

    number = bind(node, sister.key, sister.base_url)

    node_for(key=sister.key, binding=number).run_until_quiet()
    assert node.jobs() == ["succeeded", "succeeded"]
    books.check_all_done(node, sandbox)


def test_with_nothing_open_another_key_is_remembered_and_nodes_with_the_first_send_nothing_more(
    node: Node, node_for: NodeFor, sandbox: Provider, other: Provider
) -> None:
    bind(node, sandbox.key, sandbox.base_url)
    number = bind(node, other.key, other.base_url)
    node.submit({"prompt": "A chair"})

    node.round()

    assert dispatch.run(node.services).is_replaced
    node_for(key=other.key, binding=number).run_until_quiet()
    assert (len(sandbox.tasks()), [task["key"] for task in other.tasks()]) == (1, ids(node))
    assert node.jobs() == ["succeeded"]


def test_a_node_with_the_key_before_leaves_the_tickets_of_others_alone(
    node: Node, node_for: NodeFor, sandbox: Provider, other: Provider
) -> None:
    bind(node, sandbox.key, sandbox.base_url)
    newer = node_for(key=other.key, binding=bind(node, other.key, other.base_url))
    node.submit({"prompt": "A chair"})
    tickets = dispatch.run(newer.services).tickets

    node.deliver(tickets)

    assert node.generations() == ["held"]
    newer.run_until_quiet()
    assert newer.jobs() == ["succeeded"]


def test_a_request_that_began_under_one_binding_is_not_sent_again_under_another(
    node: Node, node_for: NodeFor, sandbox: Provider, other: Provider
) -> None:
    """The binding changed in the instant between a look at what is open and the first byte."""
    bind(node, sandbox.key, sandbox.base_url)
    lose_an_answer(node, sandbox)
    node.query("UPDATE account SET binding = 2 RETURNING 1")

    node_for(key=other.key, binding=2).run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert len(sandbox.tasks()) == 1


def test_without_a_generation_to_ask_for_a_person_may_say_that_the_account_is_the_same(
    node: Node, sandbox: Provider, sister: Provider
) -> None:
    bind(node, sandbox.key, sandbox.base_url)
    lose_an_answer(node, sandbox)

    binding.same_key(node.services.database, node.services.account_id, place(sister.key, sister.base_url), author(node))

    assert bind(node, sister.key, sister.base_url) == 1
    assert node.query("SELECT subject, field, actor, reason FROM change") == [
        {"subject": "account:default", "field": "key", "actor": "ann", "reason": "rotated"}
    ]


def test_no_key_is_stored(node: Node, sandbox: Provider) -> None:
    bind(node, sandbox.key, sandbox.base_url)

    kept = node.query("SELECT key_mark FROM account")[0]["key_mark"]
    assert sandbox.key not in kept
    assert binding.is_marked(sandbox.key, kept)


def test_work_that_is_open_at_one_address_is_not_sent_to_another(node: Node, sandbox: Provider) -> None:
    bind(node, sandbox.key, "https://one.example")
    lose_an_answer(node, sandbox)

    with pytest.raises(OtherProvider, match=r"1 generations open at https://one.example"):
        bind(node, sandbox.key, "https://two.example")


def test_with_nothing_open_another_address_is_another_binding(node: Node, sandbox: Provider) -> None:
    first = bind(node, sandbox.key, "https://one.example")

    second = bind(node, sandbox.key, "https://two.example")

    assert (first, second) == (1, 2)


def test_a_sandbox_that_came_back_at_another_port_keeps_the_binding(node: Node, sandbox: Provider) -> None:
    first = bind(node, sandbox.key, "http://127.0.0.1:1")
    lose_an_answer(node, sandbox)

    assert bind(node, sandbox.key, "http://127.0.0.1:2") == first


def ids(node: Node) -> list[str]:
    return [row["idempotency_key"] for row in node.query("SELECT idempotency_key FROM generation")]
