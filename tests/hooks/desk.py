"""A person who keeps hooks on one worker node, with a clock that is moved by hand, and what a test asks of them."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pytest_httpserver import HTTPServer

from tests.pipeline.node import Clock, Node
from worker.accounts import control
from worker.batches import events as batch_events
from worker.core.db.changes import Author
from worker.core.rules.events import EventType
from worker.core.rules.setting_values import HookPolicy
from worker.engine.services import Collectors
from worker.hooks import sending, subscriptions
from worker.hooks.sending import Pool, Sender
from worker.hooks.subscriptions import Secret

HERE = HookPolicy(hosts=frozenset({("localhost", port) for port in range(1, 1 << 16)}))
"""The settings of a node that may post to any port of its own machine."""


@dataclass(kw_only=True)
class Desk:
    """Hooks of one node, and a change that makes an event."""

    node: Node

    @property
    def clock(self) -> Clock:
        return self.node.clock

    def author(self) -> Author:
        """Return who changes hooks in these tests."""
        return Author(actor="rita", reason="the shop wants it", now=self.clock(), new_id=self.node.services.new_id)

    def add(self, target: str, *types: EventType, catalog_id: UUID | None = None) -> Secret:
        """Subscribe a receiver; to pauses of the account if nothing else is said."""
        names = [each.value for each in types or (EventType.ACCOUNT_PAUSED,)]
        return subscriptions.add(self.node.services.database, self.author(), target, names, catalog_id=catalog_id)

    def happen(self, times: int = 1) -> None:
        """Pause the account by hand: one event each time."""
        for _ in range(times):
            control.pause(self.node.services.database, "default", self.author())

    def relay(self) -> None:
        """Look for what is to be told, and write the deliveries."""
        batch_events.write_due(self.node.services.database, now=self.clock())
        sending.relay(self.node.services.database, now=self.clock())

    def send(self, policy: HookPolicy = HERE, pool: Pool | None = None, node: Node | None = None) -> None:
        """Relay what has happened and send what is due; without a pool in this thread."""
        self.relay()
        sending.send_due(self.sender(policy, pool, node))

    def sender(self, policy: HookPolicy = HERE, pool: Pool | None = None, node: Node | None = None) -> Sender:
        """Return what sending takes, of this node or another one."""
        services = (node or self.node).services
        return Sender(
            database=services.database,
            policy=policy,
            url=lambda path: f"https://images.example/{path}",
            clock=services.clock,
            jitter=lambda: 0.0,
            new_id=services.new_id,
            pool=pool or Collectors(),
        )

    def events(self, type_: EventType | None = None) -> list[dict[str, Any]]:
        """Return the data of the events in the outbox, oldest first; of one type if given."""
        rows = self.node.query(
            "SELECT data FROM event WHERE CAST(:type AS text) IS NULL OR type = :type ORDER BY id", type=type_
        )
        return [row["data"] for row in rows]

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the deliveries, oldest event first."""
        return self.node.query("""
            SELECT d.*, delivered_at IS NOT NULL AS is_delivered, given_up_at IS NOT NULL AS is_dead
            FROM hook_delivery d ORDER BY event_id, hook_id""")

    def hook(self, made: Secret) -> dict[str, Any]:
        """Return the row of a hook."""
        return self.node.query("SELECT * FROM hook WHERE id = :id", id=made.hook_id)[0]


def bodies(server: HTTPServer) -> list[dict[str, Any]]:
    """Return what a receiver was sent."""
    return [json.loads(request.data) for request, _ in server.log]
