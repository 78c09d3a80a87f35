"""Hooks on a node of its own, with an account at a sandbox that all these tests share."""

import pytest
from pytest_httpserver import HTTPServer

from tests.catalog.conftest import reviewing, team
from tests.hooks.desk import Desk
from tests.pipeline.conftest import clock, folder, lost, node, node_for, process, sandbox
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "lost", "node", "node_for", "process", "reviewing", "sandbox", "team"]


@pytest.fixture
def desk(node: Node) -> Desk:
    return Desk(node=node)


@pytest.fixture
def told(desk: Desk, httpserver: HTTPServer) -> Desk:
    """Return a desk with a receiver at /hook, and one event that was not sent yet."""
    desk.add(httpserver.url_for("/hook"))
    desk.happen()
    return desk
