"""A node whose provider is never called: these tests are about what lies in the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fixtures import databases
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    made = nodes.make(database_url, tmp_path, Clock(), base_url="http://127.0.0.1:9", key="rvya_sk_none")
    yield made
    made.services.database.close()


@pytest.fixture
def owner(database_url: str) -> Iterator[Engine]:
    """Yield connections of the tables' owner, who is not bound to the application's rights."""
    with databases.owner(database_url) as engine:
        yield engine
