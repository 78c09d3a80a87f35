"""A generation in doubt, without a provider: its only create met a key that was taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node
from worker.core.rules.errors import Conflict


@contextmanager
def node_of(database_url: str, folder: Path) -> Iterator[Node]:
    """Yield a node at the time of the test's commands, whose creates all meet a conflict."""
    clock = Clock(now=datetime.now(UTC))
    node = nodes.make(
        database_url, folder, clock, base_url="http://127.0.0.1:9", key="rvya_sk_none", listener=_raise_conflict
    )
    yield node
    node.services.database.close()


def _raise_conflict(effect: str) -> None:
    if effect == "before create":
        raise Conflict("idempotency_conflict", "the key is taken", 409, "req_7")
