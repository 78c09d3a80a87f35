"""Programs of others that check files; a run that must not do without them sets DARKROOM_TEST_REQUIRE_TOOLS=1."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "ops"


def run(program: str, *arguments: str | Path, folder: Path = ROOT, is_optional: bool = False) -> str:
    """Return what the program prints; fail when it ends with a failure, skip where it is not installed."""
    path = shutil.which(program, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        if os.environ.get("DARKROOM_TEST_REQUIRE_TOOLS") == "1" and not is_optional:
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"no {program} here")
    command = [path, *map(str, arguments)]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
