"""A shop or a team on a node of its own, with an account at a sandbox that all these tests share."""

from pathlib import Path

import pytest

from tests.catalog.shop import Shop
from tests.catalog.team import RECIPE, Team
from tests.cli.conftest import Darkroom, run_here
from tests.fixtures import pictures
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "shop"]

RECIPE_TOML = """
prompt = "A {{ colour }} chair"
review = "none"
[params]
image_size = "square"
"""
ITEMS_CSV = "sku,colour,reference\nc1,red,photos/c1.png\nc2,blue,\n"


@pytest.fixture
def shop(node: Node) -> Shop:
    return Shop(node=node)


@pytest.fixture
def team(node: Node) -> Team:
    """Return a catalog team whose new images go live by themselves; nothing is imported yet."""
    return Team(node=node, recipe=RECIPE)


@pytest.fixture
def reviewing(node: Node) -> Team:
    """Return a catalog team that looks at each new image."""
    return Team(node=node, recipe={**RECIPE, "review": "required"})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with items, their picture and a recipe."""
    (tmp_path / "photos").mkdir()
    pictures.reference(tmp_path / "photos", "c1.png")
    (tmp_path / "items.csv").write_text(ITEMS_CSV)
    (tmp_path / "recipe.toml").write_text(RECIPE_TOML)
    return tmp_path


@pytest.fixture
def darkroom(place: Path, node: Node, database_url: str) -> Darkroom:
    """Return the command beside a node: they share a database and a store."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    return lambda *arguments, **environment: run_here(place, {**settings, **environment}, "catalog", *arguments)


@pytest.fixture
def imported(darkroom: Darkroom) -> Darkroom:
    """Return the command with a catalog of two items."""
    done = darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    assert done.returncode == 0, done.stderr
    return darkroom
