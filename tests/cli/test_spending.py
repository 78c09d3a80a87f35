"""With a real key, a command at a terminal shows the price and asks before it spends; a limit is never exceeded."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.cli.conftest import ROOT, Darkroom, run_here
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]

TIMEOUT_S = 60
MANIFEST = "key,prompt\nred,A red chair\nblue,A blue chair\n"
SUBMIT = ("submit", "chairs.csv")
RETRY = ("retry", "broken")
APPLY = ("catalog", "apply", "plan.json")
RUN_NOW = ("schedule", "run-now", "weekly")
COMMANDS = [pytest.param(command, id=" ".join(command[:-1])) for command in (SUBMIT, RETRY, APPLY, RUN_NOW)]


@pytest.fixture
def settings(tmp_path: Path, node: Node, database_url: str, httpserver: HTTPServer) -> dict[str, str]:
    """Return the environment of a real provider: a key, and an address that does not prove to be a sandbox."""
    httpserver.expect_request("/sandbox").respond_with_data(status=404)
    return {
        "DARKROOM_DATABASE_URL": database_url,
        "DARKROOM_STORE": str(node.folder),
        "RIVYA_BASE_URL": httpserver.url_for("").rstrip("/"),
        "RIVYA_API_KEY": "rvya_sk_live",
    }


@pytest.fixture
def shop(tmp_path: Path, node: Node, sandbox: Provider, settings: dict[str, str]) -> Darkroom:
    """Return the command where a manifest, a failed batch, a saved plan and a schedule are there to spend on."""
    sandbox.set(failing_prompts="broken")
    node.submit({"key": "bad", "prompt": "A broken chair"}, name="broken")
    node.run_until_quiet()
    (tmp_path / "chairs.csv").write_text(MANIFEST)
    (tmp_path / "items.csv").write_text("sku,colour\na,red\n")
    (tmp_path / "recipe.toml").write_text('prompt = "A {{ colour }} mug"\n')

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_here(tmp_path, settings, *arguments)

    command("catalog", "import", "mugs", "items.csv", "--recipe", "recipe.toml")
    command("catalog", "plan", "mugs", "--out", "plan.json")
    command("schedule", "add", "weekly", "--catalog", "mugs", "--cron", "0 2 * * 1", "--cap", "2000")
    return command


@pytest.fixture
def asked(tmp_path: Path, shop: Darkroom, settings: Mapping[str, str]) -> Callable[..., str]:
    """Return what a command writes to a terminal on which its question is answered."""
    return lambda *arguments, answer: at_terminal(tmp_path, settings, arguments, answer)


def at_terminal(place: Path, settings: Mapping[str, str], arguments: tuple[str, ...], answer: str) -> str:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *arguments],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(ROOT), "COLUMNS": "200", **settings},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        process.communicate(timeout=TIMEOUT_S)
    said = b""
    while part := read(ours):
        said += part
    os.close(ours)
    return said.decode()


def read(terminal: int) -> bytes:
    """Return what the terminal still holds; Linux reports an end whose writer is gone as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def spendings(node: Node) -> list[int]:
    """Return how many batches, retried jobs and runs there are."""
    count = "SELECT (SELECT count(*) FROM {}) AS n"
    tables = ("batch", "job WHERE state = 'pending'", "schedule_run")
    return [node.query(count.format(table))[0]["n"] for table in tables]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_price_is_asked_about_and_a_no_spends_nothing(
    command: tuple[str, ...], asked: Callable[..., str], node: Node
) -> None:
    before = spendings(node)

    said = asked(*command, answer="n\n")

    assert "Spend them? [y/N]" in said
    assert ("credit" in said, "paid at http://" in said) == (True, True)
    assert spendings(node) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_yes_spends(command: tuple[str, ...], asked: Callable[..., str], node: Node) -> None:
    before = spendings(node)

    asked(*command, answer="y\n")

    assert spendings(node) != before


@pytest.mark.parametrize("command", COMMANDS)
def test_yes_on_the_command_line_skips_the_question(command: tuple[str, ...], asked: Callable[..., str]) -> None:
    said = asked(*command, "--yes", answer="")

    assert "Spend them?" not in said


def test_no_question_is_asked_up_to_the_threshold(tmp_path: Path, shop: Darkroom, settings: dict[str, str]) -> None:
    said = at_terminal(tmp_path, {**settings, "DARKROOM_CONFIRM_ABOVE": "8"}, SUBMIT, "")

    assert "2 images: 8 credits, paid at http://" in said
    assert "Spend them?" not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_more_than_max_credits_is_refused_also_with_yes_and_without_a_terminal(
    command: tuple[str, ...], shop: Darkroom, node: Node
) -> None:
    before = spendings(node)

    done = shop(*command, "--yes", "--max-credits", "3")

    assert (done.returncode, "of --max-credits" in done.stderr) == (1, True)
    assert spendings(node) == before


def test_a_run_of_a_schedule_is_priced_by_its_cap_which_it_may_not_reach(shop: Darkroom) -> None:
    refused = shop(*RUN_NOW, "--max-credits", "100")
    done = shop(*RUN_NOW, "--json")

    assert (
        "nothing was spent: Schedule weekly, one run may cost up to 2,000 credits, more than the 100 of --max-credits"
        in " ".join(refused.stderr.split())
    )
    assert "Schedule weekly, one run: up to 2,000 credits, paid at http://" in " ".join(done.stderr.split())
    assert json.loads(done.stdout)["state"] == "planning"


def test_a_no_to_a_run_of_a_schedule_requests_none(asked: Callable[..., str]) -> None:
    assert "no run was requested" in asked(*RUN_NOW, answer="n\n")
