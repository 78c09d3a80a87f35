"""Every table of the command line is readable at 60, 80 and 120 columns."""

import re
import subprocess
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.catalog.conftest import ITEMS_CSV
from tests.cli.conftest import Darkroom, run_here
from tests.pipeline.node import Node

LONG = "a catalog of chairs with a rather long name, for the spring"

COMMANDS = [
    ("status",),
    ("status", "chairs"),
    ("account", "show"),
    ("audit", "verify", "--verbose"),
    ("cancel", "--name", "*", "--dry-run"),
    ("pause", "--name", "*", "--dry-run"),
    ("services", "status"),
    ("catalog", "list"),
    ("catalog", "show", LONG),
    ("catalog", "plan", LONG),
    ("catalog", "show-plan", "plan.json"),
    ("catalog", "history", LONG, "c1"),
    ("hook", "list"),
    ("hook", "deliveries"),
    ("schedule", "list"),
    ("schedule", "runs", "weekly"),
    ("submit", "bad.jsonl", "--dry-run"),
]
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+")


@pytest.fixture
def busy(place: Path, node: Node, database_url: str) -> Darkroom:
    """Return a runner of commands in a Darkroom with batches, a catalog, a plan, a schedule and a hook."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_here(place, {**settings, **environment}, *arguments)

    (place / "bad.jsonl").write_text('{"key": "huge", "prompt": "A chair", "image_size": "huge"}\n' * 3)
    (place / "chairs.jsonl").write_text('{"prompt": "A chair"}\n' * 1234)
    made = [
        run("catalog", "import", LONG, "items.csv", "--recipe", "recipe.toml"),
        run("catalog", "plan", LONG, "--out", "first.json", "--by", "ann"),
        run("catalog", "apply", "first.json"),
    ]
    node.run_until_quiet()
    (place / "items.csv").write_text(ITEMS_CSV.replace("red", "a very dark red that was described at length"))
    made += [
        run("submit", "chairs.jsonl"),
        run(
            "submit", "chairs.jsonl", "--name", "another batch whose name is far too long for any table, as people make"
        ),
        run("catalog", "import", LONG, "items.csv", "--recipe", "recipe.toml"),
        run("catalog", "plan", LONG, "--out", "plan.json", "--by", "ann"),
        run("hook", "add", "true", "--event", "image.live", "--catalog", LONG),
        run("schedule", "add", "weekly", "--catalog", LONG, "--cron", "0 2 * * 1", "--cap", "4000"),
        run("schedule", "run-now", "weekly", "--yes"),
    ]
    assert [each.stderr for each in made if each.returncode] == []
    return run


def test_every_table_fits_and_no_number_is_cut(busy: Darkroom) -> None:
    wide = {command: busy(*command, COLUMNS="1000") for command in COMMANDS}

    for columns in (60, 80, 120):
        for command in COMMANDS:
            shown = busy(*command, COLUMNS=str(columns))
            text = shown.stdout + shown.stderr
            lines = [line for line in text.splitlines() if not line.startswith("darkroom: ")]
            assert [line for line in lines if cell_len(line) > columns] == [], command
            numbers = set(NUMBER.findall(wide[command].stdout + wide[command].stderr))
            assert numbers <= set(NUMBER.findall(text)), command
            assert "…" not in text, command
