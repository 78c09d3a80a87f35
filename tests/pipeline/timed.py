"""Batches with a deadline, on a node that ends those whose deadline has passed."""

from datetime import timedelta
from uuid import UUID

from tests.pipeline.node import Node
from worker.batches import deadlines
from worker.node import maintenance

CHAIR: dict[str, object] = {"prompt": "A chair"}
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
EVERY = {"deadlines": timedelta(seconds=5), "reread": timedelta(minutes=15)}


def keeping(node: Node) -> Node:
    """Have a node look after deadlines and doubts."""
    node.keep(EVERY)
    return node


def submit(node: Node, *requests: dict[str, object], within: timedelta) -> UUID:
    """Enqueue a batch whose deadline counts from the node's clock, which is not that of the interface."""
    batch_id = node.submit(*requests).batch_id
    deadlines.change(node.services.database, batch_id, node.clock() + within, node.author())
    return batch_id


def end_passed(node: Node) -> None:
    """Look after the deadlines now."""
    maintenance.run(node.services, "deadlines")
