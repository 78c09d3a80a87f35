"""`darkroom top`: one screen on a real database, and its keys on a real terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from tests.acceptance.nodes import ROOT
from tests.acceptance.waiting import until
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox, screen
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "screen"]

Screen = Callable[..., str]


def paused(node: Node) -> str | None:
    with node.services.database.transaction() as tx:
        found: str | None = tx.execute(text("SELECT pause_reason FROM account")).scalar_one()
    return found


def test_one_look_shows_accounts_batches_and_that_no_node_runs(node: Node, screen: Screen) -> None:
    node.submit({"prompt": "A chair"}, {"prompt": "A sofa"}, name="chairs")

    said = screen("top", "--once")

    assert "no image in the last 5 minutes" in said
    assert "nodes: none" in said
    [line] = [each for each in said.splitlines() if each.strip().startswith("chairs")]
    assert line.split()[1:7] == ["running", "0", "0", "2", "0", "2"]
    [account] = [each for each in said.splitlines() if each.strip().startswith("default")]
    assert "0/100" in account


def test_errors_of_steps_and_clocks_of_images_are_shown(node: Node, screen: Screen) -> None:
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()
    node.submit({"prompt": "A sofa"}, name="sofas")
    node.round()
    with node.services.database.transaction() as tx:
        tx.execute(text("UPDATE step SET attempts = 2, error = 'HTTP 503'"))
        tx.execute(text("UPDATE job SET ended_at = clock_timestamp() WHERE state = 'succeeded'"))

    said = screen("top", "--once")

    assert "1 poll: HTTP 503" in said
    assert "medians of 1 images in 5 minutes): queue " in said


def test_keys_pause_and_resume_the_account_and_end(node: Node, database_url: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    settings = {
        "DARKROOM_DATABASE_URL": database_url,
        "DARKROOM_HOME": str(tmp_path),
        "COLUMNS": "120",
        "TERM": "xterm",
    }
    command = [sys.executable, "-m", "worker.cli", "top", "--every", "0.5"]
    shown = tmp_path / "screen"
    with (
        shown.open("wb") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **settings}, stdin=theirs, stdout=theirs, stderr=errors
        ) as top,
    ):
        os.close(theirs)
        try:
            os.read(ours, 1)
            os.write(ours, b"p")
            until(lambda: _drained(ours) and paused(node) == "operator", "the account is paused")
            os.write(ours, b"r")
            until(lambda: _drained(ours) and paused(node) is None, "the account is resumed")
            os.write(ours, b"q")
            until(lambda: _drained(ours) and top.poll() is not None, "the command ends")
        finally:
            top.kill()
            os.close(ours)
    assert top.returncode == 0, shown.read_text()


def _drained(terminal: int) -> bool:
    """Read what the command has drawn, so that it can draw on."""
    os.set_blocking(terminal, False)
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        return True
    return True
