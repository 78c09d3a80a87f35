"""Maintenance that crashes, or does not end, is noted and shown, and is forgotten when it gets done again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.pipeline.node import Node
from worker.engine.queries import maintenance as rows
from worker.node import maintenance

EVERY = timedelta(minutes=1)


@pytest.fixture
def kept(node: Node) -> Node:
    """Return a node whose store is looked at once a minute."""
    node.keep({"store": EVERY})
    return node


def failing(node: Node) -> list[rows.Failing]:
    with node.services.database.transaction() as tx:
        return rows.failing(tx)


def hand_out(node: Node) -> None:
    with node.services.database.transaction() as tx:
        rows.claim_due(tx, node.services.account_id, now=node.clock())


def test_a_crash_is_noted_with_its_words_until_it_gets_done(kept: Node) -> None:
    broken: Any = object()
    began = kept.clock.now
    kept.clock.advance(EVERY)

    maintenance.run(replace(kept.services, store=broken), "store")
    found = failing(kept)
    maintenance.run(kept.services, "store")

    assert [(each.kind, each.done_at) for each in found] == [("store", began)]
    assert str(found[0].error).startswith("AttributeError: ")
    assert failing(kept) == []


def test_what_is_handed_out_again_and_again_and_does_not_end_is_trouble(kept: Node) -> None:
    for _ in range(16):
        assert failing(kept) == []
        kept.clock.advance(EVERY)
        hand_out(kept)

    assert [(each.kind, each.error) for each in failing(kept)] == [("store", None)]


def test_what_no_node_was_there_to_do_is_no_trouble(kept: Node) -> None:
    hand_out(kept)

    kept.clock.advance(timedelta(days=1))

    assert failing(kept) == []
