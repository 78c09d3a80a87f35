"""The document on catalogs by commands alone: its blocks in their order, with decisions from files and options."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.browser import document
from tests.fixtures import provider

pytestmark = pytest.mark.acceptance


@pytest.fixture
def world(database_url: str, broker_urls: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """Yield a Darkroom at work, whose node may run the document's command, with the document's files."""
    with (
        provider.running() as sandbox,
        worlds.opened(database_url, broker_urls["embedded"], tmp_path, sandbox) as opened,
    ):
        for name in ("items.csv", "recipe.toml"):
            (opened.folder / name).write_text(document.block(name))
        opened.node(DARKROOM_HOOK_COMMANDS=json.dumps({"tell": f"tee {opened.folder / 'told.json'}"}))
        yield opened


def save_decisions(world: World, name: str, **verdicts: str) -> None:
    """Write a file of decisions as a sheet saves it, about the newest image of each item."""
    found = world.query(
        "SELECT i.sku, r.id FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id ORDER BY r.id"
    )
    newest = {row["sku"]: str(row["id"]) for row in found}
    decisions = [
        {"sku": sku, "render": newest[sku], "decision": verdict, "reason": "as the brief says"}
        for sku, verdict in ((key.replace("_", "-"), value) for key, value in verdicts.items())
    ]
    head = {"darkroom": "decisions", "version": 1, "catalog": "mugs", "saved_at": f"2026-11-29T00:00:0{name}Z"}
    (world.folder / f"decisions-mugs-{name}.json").write_text(json.dumps(head | {"decisions": decisions}))


@pytest.mark.timeout(600)
def test_commands_alone_lead_from_a_csv_to_a_published_catalog_as_the_document_says(world: World) -> None:
    for title in ("first", "hook", "render", "look", "reason"):
        document.run(world, title)
    save_decisions(world, "1", mug_blue="accept", jug_white="reject")
    document.run(world, "decide")
    document.run(world, "again")
    save_decisions(world, "2", jug_white="accept")
    document.run(world, "finish")
    until((world.folder / "told.json").exists, "the hook is told", timeout_s=60)

    with (world.folder / "live.csv").open(newline="", encoding="utf-8") as file:
        live = {row["sku"]: row["file"] for row in csv.DictReader(file)}
    assert sorted(live) == ["jug-white", "mug-blue", "mug-red"]
    assert all((world.images / file).is_file() for file in live.values())
    assert json.loads((world.folder / "told.json").read_text())["type"] == "image.live"
    assert world.count("job", "state = 'succeeded'") == 3 + 1
    assert "the handle is missing" in document.run(world, "history")
    assert "blue -> navy" in document.run(world, "change")
