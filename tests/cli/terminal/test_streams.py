"""Output without a reader, that does not fit, or that cannot hold every character ends in a sentence or quietly."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Darkroom

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

COMMANDS = ["--help", "status", "status --json", "audit statement", "results café"]


@pytest.fixture
def shell(tmp_path: Path, database_url: str, darkroom: Darkroom) -> Shell:
    """Return a shell in which ``$D`` is the command, on a database with one batch."""
    manifest = tmp_path / "café.jsonl"
    manifest.write_text('{"key": "red", "prompt": "Ein roter Stuhl, 赤い椅子"}\n', encoding="utf-8")
    assert darkroom("submit", str(manifest)).returncode == 0
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "DARKROOM_DATABASE_URL": database_url,
        "DARKROOM_STORE": str(tmp_path / "store"),
        "D": f"{sys.executable} -m worker.cli",
    }

    def run(script: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_output_without_a_reader_is_no_error(shell: Shell, command: str) -> None:
    done = shell(f"$D {command} | true; exit ${{PIPESTATUS[0]}}")

    assert done.returncode == 0
    assert "Error" not in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_does_not_fit_ends_in_a_sentence(shell: Shell, command: str) -> None:
    done = shell(f"$D {command} > /dev/full")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "darkroom: the output cannot be written: No space left on device"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_closed_stream_is_no_error(shell: Shell, command: str, closed: str) -> None:
    done = shell(f"$D {command} {closed}")

    assert done.returncode == 0
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin1"])
def test_a_stream_that_lacks_characters_shows_the_others(shell: Shell, command: str, encoding: str) -> None:
    done = shell(
        f"$D {command} > out; code=$?; iconv -f {encoding} -t utf-8 out > /dev/null && exit $code",
        PYTHONIOENCODING=encoding,
    )

    assert done.returncode == 0
    assert "unexpected" not in done.stderr


def test_json_says_the_same_on_a_stream_that_lacks_characters(shell: Shell) -> None:
    done = shell("$D results café", PYTHONIOENCODING="ascii")

    assert json.loads(done.stdout)["prompt"] == "Ein roter Stuhl, 赤い椅子"


def test_an_argument_that_is_not_utf_8_is_refused(shell: Shell) -> None:
    done = shell(r"$D status $'\xff\xfe'")

    assert done.returncode == 2
    assert done.stderr == "darkroom: the argument '\\udcff\\udcfe' is not UTF-8: write it in UTF-8\n"


def test_a_manifest_whose_name_is_not_utf_8_is_submitted(shell: Shell) -> None:
    done = shell(r"cp café.jsonl $'ch\xff.jsonl'; $D submit $'ch\xff.jsonl' --json")

    assert json.loads(done.stdout)["name"] == "ch?"


def test_a_manifest_from_a_closed_standard_input_is_an_empty_one(shell: Shell) -> None:
    done = shell("$D submit - <&-")

    assert done.returncode == 1
    assert "is empty" in done.stderr
