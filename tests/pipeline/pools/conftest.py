"""Three accounts of one pool, each with a node of its own on one database, store and clock."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.accounts.queries import pools
from worker.intake.write import Receipt

NAMES = ("club", "shop", "studio")
ACCOUNTS = """
    SELECT j.line, j.state, a.name AS account FROM job j LEFT JOIN account a ON a.id = j.account_id
    ORDER BY j.batch_id, j.line"""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A pool ``bulk``: by account a node, and its account at the provider."""

    nodes: dict[str, Node]
    providers: dict[str, Provider]

    @property
    def any(self) -> Node:
        """The node of whichever account, to ask the database they share."""
        return self.nodes[NAMES[0]]

    def submit(self, count: int, **batch: object) -> Receipt:
        """Enqueue a batch of so many different images over the pool."""
        rows = [{"key": str(n), "prompt": f"Chair {n}"} for n in range(count)]
        return self.any.submit(*rows, **{"pool": "bulk"} | batch)

    def limit(self, *, window: int, rate: float = 1000.0) -> None:
        """Set for each account how many live jobs it may have."""
        for node in self.nodes.values():
            node.limit(rate=rate, window=window)

    def run(self, names: Sequence[str] = NAMES, *, rounds: int = 200) -> None:
        """Let these accounts work in turn until none has a thing to do."""
        quiet = 0
        for _ in range(rounds):
            decided = [self.nodes[name].round() for name in names]
            is_idle = not any(each.tickets or each.look_again_at for each in decided)
            quiet = quiet + 1 if is_idle else 0
            if quiet == 3:
                return
            clock = self.any.clock
            clock.now = max(clock.now, min(each.look_again_at or clock.now for each in decided))
            clock.pause(0.05)
        raise AssertionError(f"not quiet after {rounds} rounds")

    def accounts(self) -> list[str | None]:
        """Return for each job the account that it stays with, in line order."""
        return [row["account"] for row in self.any.query(ACCOUNTS)]

    def states(self, account: str) -> list[str]:
        """Return the states of the jobs that stay with an account."""
        return [row["state"] for row in self.any.query(ACCOUNTS) if row["account"] == account]


@pytest.fixture
def fleet(node_for: NodeFor, sandbox: Provider) -> Fleet:
    """Return three nodes whose accounts are of one pool."""
    providers = {name: sandbox.sibling(f"{sandbox.key[-12:]}_{name}") for name in NAMES}
    nodes = {name: node_for(account=name, key=providers[name].key) for name in NAMES}
    for node in nodes.values():
        with node.services.database.transaction() as tx:
            pools.set_pools(tx, node.services.account_id, ["bulk"])
    return Fleet(nodes=nodes, providers=providers)
