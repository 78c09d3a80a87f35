"""The store as an operator looks at it, accepts another one, and has everything in it read again."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.cli.conftest import run_here
from tests.fixtures import pictures
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox  # noqa: F401 - fixtures
from tests.pipeline.node import Node

Asked = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def full(node: Node) -> Node:  # noqa: F811
    """Return a node whose store holds three images and a reference."""
    pictures.reference(node.folder, "chair.png")
    node.submit({"key": "a", "prompt": "A chair", "reference": "chair.png"})
    node.submit({"key": "b", "prompt": "A table"}, {"key": "c", "prompt": "A lamp"})
    node.run_for(timedelta(seconds=30))
    assert node.jobs() == ["succeeded"] * 3
    return node


@pytest.fixture
def asked(full: Node, database_url: str, tmp_path: Path) -> Asked:
    """Run a command on that store."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(full.folder)}
    return lambda *words: run_here(tmp_path, settings, *words)


def _paths(full: Node) -> list[Path]:
    return [full.folder / row["path"] for row in full.query("SELECT path FROM result ORDER BY path")]


def _lose(full: Node) -> None:
    (full.folder / ".darkroom-store").unlink()


def test_a_store_that_holds_all_is_verified(asked: Asked) -> None:
    done = asked("doctor", "--verify-store", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == {"ok": True, "checked": 4, "faulty": 0, "faults": []}


def test_what_is_missing_cut_or_changed_is_listed(full: Node, asked: Asked) -> None:
    first, second, third = _paths(full)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    third.write_bytes(third.read_bytes()[:-1] + b"?")

    done = asked("doctor", "--verify-store", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert sorted(each["problem"].partition(" ")[0] for each in found["faults"])[1:] == ["missing", "other"]
    assert found["faulty"] == 3


def test_a_lost_reference_is_listed(full: Node, asked: Asked) -> None:
    next((full.folder / "references").iterdir()).unlink()

    found = json.loads(asked("doctor", "--verify-store", "--json").stdout)

    assert [(each["of"], each["problem"]) for each in found["faults"]] == [("chair.png", "missing")]


def test_a_sample_reads_so_many(asked: Asked) -> None:
    done = asked("doctor", "--verify-store", "--sample", "2")

    assert (done.returncode, done.stdout) == (0, "2 files read again, as recorded.\n")


def test_a_store_that_is_away_has_not_lost_every_file(full: Node, asked: Asked) -> None:
    _lose(full)

    done = asked("doctor", "--verify-store")

    assert done.returncode == 1
    assert "carries no identity" in done.stderr
    assert "missing" not in done.stdout


def test_the_doctor_names_the_identity_that_is_expected(full: Node, asked: Asked) -> None:
    expected = json.loads((full.folder / ".darkroom-store").read_text())["id"]
    _lose(full)

    findings: list[Any] = json.loads(asked("doctor", "--json").stdout)["findings"]

    [found] = [each for each in findings if each["part"] == "store"]
    assert found["verdict"] == "failed"
    assert expected in found["detail"]
    assert not (full.folder / ".darkroom-store").exists()


def test_another_store_is_adopted_on_a_persons_word_only_and_recorded(full: Node, asked: Asked) -> None:
    before = json.loads((full.folder / ".darkroom-store").read_text())["id"]
    _lose(full)
    full.submit({"key": "d", "prompt": "A vase"})
    full.run_for(timedelta(seconds=20))
    waiting = full.jobs()

    unasked = json.loads(asked("store", "adopt", "--json").stdout)
    done = json.loads(asked("store", "adopt", "--yes", "--by", "mia", "--reason", "new disk", "--json").stdout)
    full.run_for(timedelta(minutes=2))

    [change] = full.query("SELECT * FROM change WHERE field = 'store' AND actor = 'mia'")
    assert (unasked["adopted"], unasked["expected"]) == (False, before)
    assert (done["adopted"], done["problem"]) == (True, None)
    assert (change["before"], change["after"], change["reason"]) == (before, done["expected"], "new disk")
    assert waiting.count("active") == 1
    assert full.jobs() == ["succeeded"] * 4


def test_the_store_shows_what_is_expected_and_what_is_there(full: Node, asked: Asked) -> None:
    identity = json.loads((full.folder / ".darkroom-store").read_text())["id"]

    shown = asked("store", "show", "--json")

    found = json.loads(shown.stdout)
    assert shown.returncode == 0
    assert (found["expected"], found["found"], found["problem"]) == (identity, identity, None)


@pytest.fixture
def moved(full: Node, asked: Asked, tmp_path: Path) -> tuple[Asked, str]:
    """Let the account adopt another, empty store; give the commands there and the identity of the one before."""
    before = json.loads((full.folder / ".darkroom-store").read_text())["id"]
    (tmp_path / "other").mkdir()
    for path in full.folder.iterdir():
        shutil.move(path, tmp_path / "other" / path.name)
    assert asked("store", "adopt", "--yes", "--by", "mia", "--reason", "new disk").returncode == 0
    return asked, before


def test_an_image_of_the_store_before_is_said_to_lie_there_and_not_to_be_missing(moved: tuple[Asked, str]) -> None:
    asked, before = moved

    done = asked("doctor", "--verify-store", "--json")

    found = json.loads(done.stdout)["faults"]
    assert done.returncode == 1
    assert sorted(each["problem"] for each in found) == [f"in another store, {before}"] * 3 + ["missing"]


def test_results_and_downloads_name_images_that_lie_in_another_store(
    full: Node, moved: tuple[Asked, str], tmp_path: Path
) -> None:
    asked, before = moved
    batch = full.query("SELECT batch_id FROM job WHERE key = 'b'")[0]["batch_id"]

    listed = [json.loads(line) for line in asked("results", str(batch)).stdout.splitlines()]
    copied = asked("download", str(batch), "--to", str(tmp_path / "copies"))

    assert [line["stored_elsewhere"] for line in listed] == [True, True]
    assert f"it was put into another store ({before})" in copied.stderr
    assert copied.returncode == 1


def test_an_image_that_was_copied_into_the_new_store_is_verified_and_downloaded(
    full: Node, moved: tuple[Asked, str], tmp_path: Path
) -> None:
    asked, _ = moved
    for path in (tmp_path / "other").iterdir():
        if path.is_dir():
            shutil.move(path, full.folder / path.name)

    assert asked("doctor", "--verify-store").returncode == 0


def test_an_image_in_the_present_store_is_not_elsewhere(full: Node, asked: Asked) -> None:
    batch = full.query("SELECT batch_id FROM job WHERE key = 'b'")[0]["batch_id"]

    listed = [json.loads(line) for line in asked("results", str(batch)).stdout.splitlines()]

    assert [line["stored_elsewhere"] for line in listed] == [False, False]
