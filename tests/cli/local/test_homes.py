"""Which home a command works with is found as git finds a repository."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Darkroom
from worker.cli import context
from worker.cli.context import Home
from worker.cli.local import running


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with a home in which something was started."""
    (tmp_path / "shop" / ".darkroom" / "run").mkdir(parents=True)
    return tmp_path / "shop"


def test_the_home_of_the_folder_is_used(shop: Path) -> None:
    found = context.find(None, here=shop, user=None)

    assert found == Home(path=shop / ".darkroom", is_here=True)


def test_a_home_of_a_folder_above_is_used(shop: Path) -> None:
    below = shop / "spring" / "chairs"
    below.mkdir(parents=True)

    assert context.find(None, here=below, user=None) == Home(path=shop / ".darkroom")


def test_the_users_home_is_used_last(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()

    assert context.find(None, here=tmp_path / "elsewhere", user=shop) == Home(path=shop / ".darkroom")


def test_a_folder_in_which_nothing_was_started_is_no_home(tmp_path: Path) -> None:
    (tmp_path / ".darkroom").mkdir()
    (tmp_path / "below").mkdir()

    assert context.find(None, here=tmp_path / "below", user=None).path == tmp_path / "below" / ".darkroom"


def test_a_home_that_is_named_is_used_whatever_lies_around(shop: Path, tmp_path: Path) -> None:
    found = context.find(tmp_path / "named", here=shop, user=None)

    assert found == Home(path=tmp_path / "named", is_given=True)


def test_a_command_in_another_folder_names_the_darkroom_that_runs(
    bare: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = str(tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", state)
    shop = tmp_path / "shop" / ".darkroom"
    running.write(shop, mode="sandbox")

    refused, stopped = bare("status", XDG_STATE_HOME=state), bare("down", XDG_STATE_HOME=state)

    for said in (refused.stderr, stopped.stdout):
        assert f"one runs in {shop.parent}: go there, or set DARKROOM_HOME={shop}" in said


def test_a_darkroom_that_is_starting_is_waited_for(
    bare: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    running.write(tmp_path / ".darkroom", mode="sandbox")

    refused = bare("status")

    assert f"`darkroom up` is still starting in {tmp_path / '.darkroom'}" in refused.stderr
    assert "start Darkroom" not in refused.stderr


def test_a_darkroom_that_was_started_long_ago_is_not_said_to_be_starting(
    bare: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database lacks the tables of a program that was upgraded meanwhile, or it has lost its servers."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place, *_ = running.write(tmp_path / ".darkroom", mode="sandbox")
    os.utime(place, (0, 0))

    refused = bare("status")

    assert "still starting" not in refused.stderr
    assert "stop it with `darkroom down` and start it again" in refused.stderr


def test_a_darkroom_that_has_ended_is_not_named(
    bare: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = str(tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", state)
    for place in running.write(tmp_path / "shop" / ".darkroom", mode="sandbox"):
        place.write_text(place.read_text().replace('"started_at": ', '"started_at": 1'))

    refused = bare("status", XDG_STATE_HOME=state)

    assert "one runs in" not in refused.stderr


def test_the_doctor_makes_no_home_where_there_is_none(bare: Darkroom, tmp_path: Path) -> None:
    done = bare("doctor", "--json")

    assert done.returncode == 1
    findings = {each["part"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert (findings["database"], findings["broker"], findings["store"]) == ("failed", "failed", "warning")
    assert not (tmp_path / ".darkroom").exists()
