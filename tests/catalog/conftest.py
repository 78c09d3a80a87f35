"""A shop on a node of its own, with an account at a sandbox that all these tests share."""

import pytest

from tests.catalog.shop import Shop
from tests.catalog.team import RECIPE, Team
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "shop"]


@pytest.fixture
def shop(node: Node) -> Shop:
    return Shop(node=node)


@pytest.fixture
def team(node: Node) -> Team:
    """Give a catalog team whose new images go live by themselves; nothing is imported yet."""
    return Team(node=node, recipe=RECIPE)


@pytest.fixture
def reviewing(node: Node) -> Team:
    """Give a catalog team that looks at each new image."""
    return Team(node=node, recipe={**RECIPE, "review": "required"})
