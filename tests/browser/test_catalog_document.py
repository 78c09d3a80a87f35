"""The document on catalogs is true: its files and commands, in their order, end with a reviewed live catalog."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.browser import document
from tests.browser.chromium import Browser
from tests.fixtures import provider

pytestmark = pytest.mark.acceptance

FILES = ("items.csv", "recipe.toml")
KEYS = ["a", "e", "Escape", "j", "a"]
"""What a newcomer presses on the first sheet: the middle one of three is rejected, with other words."""


@pytest.fixture
def world(database_url: str, broker_urls: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """Yield a Darkroom at work, with the document's files in its folder."""
    with (
        provider.running() as sandbox,
        worlds.opened(database_url, broker_urls["embedded"], tmp_path, sandbox) as opened,
    ):
        for name in FILES:
            (opened.folder / name).write_text(document.block(name))
        opened.node()
        yield opened


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """Yield a newcomer's folder with the document's files, where servers of its own may run."""
    with TemporaryDirectory(prefix="darkroom-newcomer-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file in FILES:
            (folder / file).write_text(document.block(file))
        yield folder


def decide(browser: Browser, world: World, *keys: str) -> None:
    """Open the sheet, press the keys, save, and put the file beside the others."""
    browser.open((world.folder / "mugs-review.html").as_uri())
    browser.press(*keys)
    browser.press("s")
    saved = browser.downloaded()
    saved.replace(world.folder / saved.name)


def live(world: World) -> dict[str, dict[str, str]]:
    """Return the rows of the export, by SKU."""
    with (world.folder / "live.csv").open(newline="", encoding="utf-8") as file:
        return {row["sku"]: row for row in csv.DictReader(file)}


@pytest.fixture
def reviewed(world: World, browser: Browser) -> World:
    """Return the world of a newcomer who has come to the live catalog."""
    for title in ("first", "render", "look"):
        document.run(world, title)
    decide(browser, world, *KEYS)
    document.run(world, "decide")
    document.run(world, "again")
    decide(browser, world, "a")
    document.run(world, "finish")
    return world


@pytest.mark.timeout(600)
def test_the_document_leads_from_a_csv_to_a_reviewed_live_catalog_and_on(reviewed: World) -> None:
    changed = document.run(reviewed, "change")
    scheduled = document.run(reviewed, "schedule")
    until(lambda: reviewed.count("schedule_run", "state = 'done'") == 1, "the run is over", timeout_s=60)

    assert sorted(live(reviewed)) == ["jug-white", "mug-blue", "mug-red"]
    assert reviewed.count("job", "state = 'succeeded'") == 3 + 1 + 1
    assert "blue -> navy" in changed
    assert "Europe/Paris" in scheduled
    assert "accepted" in document.run(reviewed, "history")
    assert "image.live" in document.run(reviewed, "hook")


@pytest.mark.timeout(300)
def test_what_a_newcomer_types_in_one_folder_finds_what_the_first_terminal_has_started(own_folder: Path) -> None:
    """Nothing is set: no address of a database, no key, no home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(own_folder)}

    with document.terminal(own_folder, environment):
        first = document.run_in(own_folder, environment, "first")
        rendered = document.run_in(own_folder, environment, "render")

    assert "price     12 credits" in first
    assert "3 jobs, 12 sandbox credits, which cost nothing" in rendered


def test_every_block_with_a_title_is_one_that_a_test_runs_or_reads() -> None:
    titles = {title for _, title in document.blocks()}

    run = {"first", "render", "look", "decide", "again", "finish", "change", "schedule", "history", "hook", "reason"}
    assert titles == {*FILES, *run, "terminal"}
