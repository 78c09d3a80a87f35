"""A generation in doubt, and the person who decides about it."""

from datetime import timedelta
from uuid import UUID

from tests.pipeline.hooked import HookedClient
from tests.pipeline.node import Node
from worker.audit.rules.dispute_decision import Signature

ANN = Signature(actor="ann", reason="the provider's support said so")


def doubtful(node: Node) -> UUID:
    """Return the id of the only generation in doubt."""
    generation_id: UUID = node.query("SELECT id FROM generation WHERE state = 'in_doubt'")[0]["id"]
    return generation_id


def date_tasks(node: Node, after_sending: timedelta) -> None:
    """Let the provider say that its tasks were created so long after the first send: its clock is the real one."""
    assert isinstance(node.services.client, HookedClient)
    node.services.client.created_at = node.query("SELECT first_sent_at AS at FROM generation")[0]["at"] + after_sending
