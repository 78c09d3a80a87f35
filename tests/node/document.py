"""The code that the document for producers shows, as a producer would run it: in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.nodes import ROOT
from tests.acceptance.world import World

DOCUMENT = ROOT / "docs" / "producers.md"
TIMEOUT_S = 30


def block(title: str) -> str:
    """Return the one block of the document whose fence carries this title after the language."""
    found = re.findall(rf"^```\w+ {title}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{DOCUMENT.name} has {len(found)} blocks {title!r}"
    return str(found[0])


def run(world: World, title: str, *, code: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a block, and the code after it, in the world's folder and with its settings."""
    return _run(world.folder, {**os.environ, **world.settings, "PYTHONPATH": str(ROOT)}, block(title) + code)


def _run(folder: Path, environment: dict[str, str], code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
