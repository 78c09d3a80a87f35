"""A catalog with new images from the sandbox, and the web process that shows them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.catalog.team import NAME, RECIPE, Team
from tests.fixtures import pictures
from tests.pipeline.node import Node
from tests.web.serving import Web, serving
from worker.catalog import importing, items
from worker.intake.manifest import Row
from worker.intake.reference_store import ReferenceStore
from worker.settings import Settings
from worker.web import server

COLOURS = ("red", "blue", "grey", "green", "white", "black", "ochre", "pink", "teal", "brown")
PROMPT = "A {{ colour }} mug on an oak table, soft light"


def waiting(node: Node, images: int, *, live: int = 0) -> Team:
    """Return a team whose catalog has so many images that wait; the first ``live`` items show one already."""
    team = Team(node=node, recipe={**RECIPE, "review": "none" if live else "required"})
    colours = {f"mug-{number:02}": COLOURS[number % len(COLOURS)] for number in range(1, images + 1)}
    if live:
        _stock(team, dict(list(colours.items())[:live]))
        team.refresh()
        team.recipe = {**RECIPE, "review": "required", "prompt": PROMPT}
    _stock(team, colours)
    team.refresh()
    return team


def _stock(team: Team, colours: Mapping[str, str]) -> None:
    """Import these items, each with a reference."""
    services = team.node.services
    wanted, reference_store = importing.checked_recipe(team.recipe, "recipe"), ReferenceStore(services.store)
    reference = team.node.folder / "reference.png"
    if not reference.exists():
        pictures.reference(team.node.folder)
    rows = [
        Row(line=line, raw={"sku": sku, "colour": colour, "reference": reference.name})
        for line, (sku, colour) in enumerate(colours.items(), start=1)
    ]
    checked = items.prepare(rows, wanted, base=team.node.folder, reference_store=reference_store)
    importing.import_items(
        services.database,
        NAME,
        wanted,
        checked,
        reference_store.facts.values(),
        now=team.clock(),
        new_id=services.new_id,
    )


@contextmanager
def shown(node: Node, database_url: str, home: Path, **further: object) -> Iterator[Web]:
    """Yield a web process on the node's database and store, with further settings."""
    settings = Settings.model_validate({}).model_copy(
        update={"database_url": SecretStr(database_url), "home": home, "store": str(node.folder)} | further
    )
    opened = server.context(settings)
    with serving(opened) as web:
        yield web
    opened.database.close()


@pytest.fixture
def team(node: Node) -> Team:
    """Return a team with three images that wait."""
    return waiting(node, 3)


@pytest.fixture
def web(team: Team, database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a web process that shows its catalog."""
    with shown(team.node, database_url, tmp_path) as found:
        yield found
