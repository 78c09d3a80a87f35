"""`darkroom bulk decide`: one decision on many images, previewed, saved image by image, and applied with the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.team import Team
from tests.cli.conftest import Darkroom, run_here
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node
from tests.web.console import catalog

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]


@pytest.fixture
def team(node: Node) -> Team:
    """Return a team with three images that wait."""
    return catalog.waiting(node, 3)


@pytest.fixture
def decide(team: Team, database_url: str, tmp_path: Path) -> Darkroom:
    """Return the command on the team's database and store."""
    environment = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(team.node.folder)}
    return lambda *arguments: run_here(tmp_path, environment, *arguments)


def saved(team: Team) -> list[tuple[str, str]]:
    rows = team.node.query("SELECT actor, verdict FROM catalog_decision ORDER BY decided_at")
    return [(row["actor"], row["verdict"]) for row in rows]


def test_a_decision_is_shown_before_and_saved_with_its_author(team: Team, decide: Darkroom) -> None:
    dry = decide("bulk", "decide", "mugs", "--reject", "--sku", "mug-0*", "--dry-run", "--json")
    before = saved(team)
    done = decide("bulk", "decide", "mugs", "--reject", "--sku", "mug-02", "--yes", "--by", "mia", "--reason", "dark")

    shown: Any = json.loads(dry.stdout)
    assert [each["sku"] for each in shown["images"]] == ["mug-01", "mug-02", "mug-03"]
    assert (before, saved(team)) == ([], [("mia", "reject")])
    assert "1 image rejected, not applied yet: `darkroom catalog decide mugs --saved --by NAME`" in done.stdout


def test_an_operation_of_images_is_listed_and_shown(decide: Darkroom) -> None:
    done = decide("bulk", "decide", "mugs", "--accept", "--all", "--yes", "--json")
    operation = json.loads(done.stdout)["operation"]

    listed, shown = decide("bulk", "list"), decide("bulk", "show", operation)

    assert "decide" in listed.stdout
    assert "mug-03" in shown.stdout
    assert json.loads(decide("bulk", "show", operation, "--json").stdout)["verdict"] == "accept"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--all",), 2, "--accept or --reject"),
        (("--accept", "--reject", "--all"), 2, "--accept or --reject"),
        (("--accept",), 2, "say which images"),
        (("--accept", "--all", "--sku", "*"), 2, "say which images"),
        (("--accept", "--plan", "last"), 2, "a plan is named by its id"),
        (("--accept", "--sku", "vase"), 1, "no undecided image matches"),
        (("--accept", "--all"), 2, "there is no terminal to ask on"),
    ],
)
def test_what_is_unclear_decides_nothing(
    team: Team, decide: Darkroom, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = decide("bulk", "decide", "mugs", *arguments)

    assert (done.returncode, said in done.stderr, saved(team)) == (code, True, [])
