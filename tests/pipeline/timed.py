"""Batches with a deadline, on a node that ends those whose deadline has passed."""

from datetime import timedelta
from uuid import UUID

from tests.pipeline.node import Node
from worker.batches import deadlines
from worker.core.db.changes import Author
from worker.engine.rules.upkeep import UpkeepKind
from worker.node import upkeep

CHAIR: dict[str, object] = {"prompt": "A chair"}
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
EVERY = {UpkeepKind.DEADLINES: timedelta(seconds=5), UpkeepKind.REREAD: timedelta(minutes=15)}


def keeping(node: Node) -> Node:
    """Have a node look after deadlines and doubts."""
    node.keep(EVERY)
    return node


def author(node: Node) -> Author:
    """Return who changes a deadline, at this instant."""
    return Author(actor="ann", reason=None, now=node.clock(), new_id=node.services.new_id)


def submit(node: Node, *requests: dict[str, object], within: timedelta) -> UUID:
    """Enqueue a batch whose deadline counts from the node's clock, which is not that of the door."""
    batch_id = node.submit(*requests).batch_id
    deadlines.change(node.services.database, batch_id, node.clock() + within, author(node))
    return batch_id


def end_passed(node: Node) -> None:
    """Look after the deadlines now."""
    upkeep.run(node.services, UpkeepKind.DEADLINES)
