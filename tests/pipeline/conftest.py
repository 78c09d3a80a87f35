"""A node on a fresh database, and an account of its own at a sandbox that all these tests share."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.cli.conftest import run_here
from tests.conftest import quick_place
from tests.fixtures import provider
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node

NodeFor = Callable[..., Node]
Screen = Callable[..., str]
_accounts = count(1)


@pytest.fixture(scope="session")
def process() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture
def sandbox(process: Provider) -> Provider:
    """Return a fresh account with 10,000 credits at the shared sandbox, which behaves as by default, quickly."""
    process.reset()
    return process.sibling(f"acct_{next(_accounts)}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield the folder of the store, in memory if possible: each image is synced to its disk."""
    with TemporaryDirectory(prefix="darkroom-tests-store-", dir=quick_place()) as path:
        yield Path(path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node_for(sandbox: Provider, database_url: str, folder: Path, clock: Clock) -> Iterator[NodeFor]:
    """Make nodes that share database, folder, clock and provider."""
    made: list[Node] = []

    def build(**options: Any) -> Node:
        options = {"key": sandbox.key} | options
        node = nodes.make(database_url, folder, clock, base_url=sandbox.base_url, **options)
        made.append(node)
        return made[-1]

    yield build
    for node in made:
        node.services.client.close()
        node.services.database.close()


@pytest.fixture
def node(node_for: NodeFor) -> Node:
    return node_for()


@pytest.fixture
def lost(node: Node, sandbox: Provider) -> Node:
    """Return a node with one job whose create has lost its answer, past the window; the task exists."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    return node


@pytest.fixture
def unknown(node: Node, sandbox: Provider) -> Node:
    """Return a node with one job whose task the provider accepted and does not know any more."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.set(not_found_after_create_s=10**6)
    node.run_until_quiet()
    sandbox.set(not_found_after_create_s=0)
    return node


@pytest.fixture
def screen(node: Node, database_url: str, tmp_path: Path) -> Screen:
    """Run a command on the node's database and store, and give what it prints."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    return lambda *words: run_here(tmp_path, settings, *words).stdout
