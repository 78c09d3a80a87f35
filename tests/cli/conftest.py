"""The command as a user runs it: a process of its own, with an environment that holds nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.acceptance.waiting import until
from worker.accounts import opening
from worker.cli.app import app
from worker.cli.errors import explain
from worker.local import services

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60

Darkroom = Callable[..., "subprocess.CompletedProcess[str]"]


def run(
    folder: Path, environment: Mapping[str, str], *arguments: str, program: Sequence[str] = ("-m", "worker.cli")
) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end, in the folder; ``program`` is what Python runs in place of the command line."""
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def run_here(folder: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one command inside this process, with its own environment and folder: quicker, and the same code."""
    home = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(os, "environ", {**home, **environment})
        # A process of its own does not know the clock of the database of an earlier test, which is gone.
        for name, value in {"_source": None, "_estimate": None, "_last_s": 0.0}.items():
            patch.setattr(opening.clock, name, value)
        done = CliRunner().invoke(app, arguments, prog_name="darkroom")
    if isinstance(done.exception, Exception):
        said = explain(done.exception)
        return subprocess.CompletedProcess(arguments, said.exit_code, done.stdout, f"{done.stderr}{said.text}\n")
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def status(darkroom: Darkroom, batch: str) -> Any:
    """Return what the command says of a batch, as JSON."""
    return json.loads(darkroom("status", batch, "--json").stdout)


@pytest.fixture
def bare(tmp_path: Path) -> Darkroom:
    """Return the command in an empty folder where nothing runs and nothing is set."""
    return lambda *arguments, **environment: run_here(tmp_path, environment, *arguments)


@pytest.fixture
def spawned(tmp_path: Path) -> Darkroom:
    """Return the command as a process of its own, in an empty folder where nothing runs and nothing is set."""
    return lambda *arguments, **environment: run(tmp_path, environment, *arguments)


@pytest.fixture
def darkroom(tmp_path: Path, database_url: str) -> Darkroom:
    """Return the command on a database of this test's own, with a store beside it and no node."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(tmp_path / "store")}
    return lambda *arguments, **environment: run_here(tmp_path, {**settings, **environment}, *arguments)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of two good lines, and between them a bad one."""
    path = tmp_path / "chairs.jsonl"
    path.write_text(
        '{"key": "red", "prompt": "A red chair", "sku": 7}\n'
        '{"key": "huge", "prompt": "A chair", "image_size": "huge"}\n'
        '{"key": "blue", "prompt": "A blue chair", "image_size": "square"}\n'
    )
    return path


@pytest.fixture
def good_manifest(tmp_path: Path) -> Path:
    """Return a manifest of one good line."""
    path = tmp_path / "good.jsonl"
    path.write_text('{"key": "red", "prompt": "A red chair"}\n')
    return path


@contextmanager
def started_up(folder: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `darkroom up` in the folder from its readiness to its end; what it leaves in the home stays."""
    log = folder / "up.log"
    found = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "up"], cwd=folder, env=found, stdout=stream, stderr=stream
        )
    try:
        until(lambda: "ready  in another" in log.read_text(), "it is ready")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield `darkroom up`, at work."""
    try:
        with started_up(tmp_path) as process:
            yield process
    finally:
        services.erase(tmp_path / ".darkroom")
