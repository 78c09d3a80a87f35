"""A generation in doubt, and the person who decides about it."""

from uuid import UUID

from tests.pipeline.node import Node
from worker.audit.rules.dispute_decision import Signature

ANN = Signature(actor="ann", reason="the provider's support said so")


def doubtful(node: Node) -> UUID:
    """Return the id of the only generation in doubt."""
    generation_id: UUID = node.query("SELECT id FROM generation WHERE state = 'in_doubt'")[0]["id"]
    return generation_id
