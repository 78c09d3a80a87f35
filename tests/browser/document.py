"""The blocks of the document on catalogs, run as a newcomer runs them: in a folder, in a shell, one after the other."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.nodes import ROOT
from tests.acceptance.waiting import until
from tests.acceptance.world import World

DOCUMENT = ROOT / "docs" / "catalog.md"
TIMEOUT_S = 120
SHELL = f'set -e\ndarkroom() {{ "{sys.executable}" -m worker.cli "$@"; }}\n'


def blocks() -> list[tuple[str, str]]:
    """Return language and title of every block that has a title."""
    return re.findall(r"^```(\w+) (\S+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)


def block(title: str) -> str:
    """Return the one block with this title."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(rf"^```\w+ {re.escape(title)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{DOCUMENT.name} has {len(found)} blocks {title!r}"
    return str(found[0])


def run(world: World, title: str) -> str:
    """Run the commands of a block; return what they printed, and fail when one of them failed."""
    return run_in(world.folder, {**os.environ, **world.settings}, title)


def run_in(folder: Path, environment: Mapping[str, str], title: str) -> str:
    """Run the commands of a block in this folder, with nothing but this environment."""
    done = subprocess.run(
        ["sh", "-c", SHELL + block(title)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{title}: {done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Have the first terminal's command at work in this folder; it is interrupted, and drains, when the block ends."""
    log = folder / "terminal.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["sh", "-c", SHELL.replace("{ ", "{ exec ") + block("terminal")],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        until(lambda: "in another terminal" in log.read_text(), "everything is up", timeout_s=TIMEOUT_S)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=TIMEOUT_S)
