"""Which home a command works with is found as git finds a repository."""

from pathlib import Path

import pytest

from worker.cli import homes
from worker.cli.homes import Home


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with a home in which something was started."""
    (tmp_path / "shop" / ".darkroom" / "run").mkdir(parents=True)
    return tmp_path / "shop"


def test_the_home_of_the_folder_is_used(shop: Path) -> None:
    found = homes.find(None, here=shop, user=None)

    assert found == Home(path=shop / ".darkroom", is_here=True)


def test_a_home_of_a_folder_above_is_used(shop: Path) -> None:
    below = shop / "spring" / "chairs"
    below.mkdir(parents=True)

    assert homes.find(None, here=below, user=None) == Home(path=shop / ".darkroom")


def test_the_users_home_is_used_last(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()

    assert homes.find(None, here=tmp_path / "elsewhere", user=shop) == Home(path=shop / ".darkroom")


def test_a_folder_in_which_nothing_was_started_is_no_home(tmp_path: Path) -> None:
    (tmp_path / ".darkroom").mkdir()
    (tmp_path / "below").mkdir()

    assert homes.find(None, here=tmp_path / "below", user=None).path == tmp_path / "below" / ".darkroom"


def test_a_home_that_is_named_is_used_whatever_lies_around(shop: Path, tmp_path: Path) -> None:
    found = homes.find(tmp_path / "named", here=shop, user=None)

    assert found == Home(path=tmp_path / "named", is_given=True)
