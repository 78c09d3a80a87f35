"""Started by root, the servers have an account of their own, and no other user but root reaches what is theirs."""

import json
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from tests.local.worlds import processes_of
from worker.local import account, services
from worker.local import home as homes
from worker.local.account import OWN_IDS, Account
from worker.local.errors import ServicesError
from worker.local.services import Services

pytestmark = pytest.mark.usefixtures("as_root")
NOBODY = Account(uid=65534, gid=65534, is_other=True)


def files_of(home: Path) -> list[Path]:
    data = homes.at(home).data
    return [data, *data.rglob("*")]


def databases_address(found: Services) -> str:
    return found.database_url.replace("+psycopg", "", 1)


@pytest.fixture
def of_nobody(home: Path, running: Services) -> Path:
    """Return a stopped home as an earlier version left it: all data are nobody's, and there is a row in them."""
    with psycopg.connect(databases_address(running), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    services.stop(home)
    for path in files_of(home):
        os.chown(path, NOBODY.uid, NOBODY.gid, follow_symlinks=False)
    os.chown(home / "data", 0, 0)
    (home / "data").chmod(0o711)
    return home


@pytest.fixture
def run_by_nobody(home: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Return servers that an earlier version has started, as nobody."""
    home.mkdir()
    subprocess.run(["cp", "-a", homes.at(template).data, home / "data"], check=True)
    for path in files_of(home)[1:]:
        os.chown(path, NOBODY.uid, NOBODY.gid, follow_symlinks=False)
    shutil.copy(homes.at(template).passwords, home)
    with monkeypatch.context() as patched:
        patched.setattr(services, "current", lambda: NOBODY)
        return services.start(home, fsync=False)


def test_the_account_is_one_that_nothing_else_on_the_system_has() -> None:
    found = account.current()

    assert found.uid == found.gid
    assert found.uid in OWN_IDS
    with pytest.raises(KeyError):
        pwd.getpwuid(found.uid)


def test_an_id_that_has_got_a_name_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "OWN_IDS", (1, 65_534, 60_800))

    assert account.current().uid == 60_800


def test_servers_and_all_their_files_are_the_accounts_and_closed_to_all_others(home: Path) -> None:
    found = services.start(home, fsync=False)

    own = account.current()
    assert {psutil.Process(each.pid).uids().real for each in (found.postgres, found.valkey)} == {own.uid}
    for path in files_of(home)[1:]:
        facts = path.lstat()
        assert (path, facts.st_uid, facts.st_gid) == (path, own.uid, own.gid)
        assert not facts.st_mode & 0o077 or stat.S_ISLNK(facts.st_mode), path
    top = (home / "data").stat()
    assert (top.st_uid, top.st_gid, top.st_mode & 0o777) == (0, own.gid, 0o710)


@pytest.mark.parametrize("file", ["valkey/valkey.conf", "valkey", "postgres/pg_hba.conf", "sockets"])
def test_another_user_can_neither_read_nor_write_what_the_servers_have(
    file: str, home: Path, running: Services
) -> None:
    path = str(home / "data" / file)

    read, _ = NOBODY.run(["/bin/ls", "-l", path])
    content, _ = NOBODY.run(["/bin/cat", path])
    written, _ = NOBODY.run(["/bin/sh", "-c", 'echo "host all all all trust" >> "$1"', "sh", path])

    assert 0 not in {read, content, written}


def test_a_home_that_was_nobodys_is_taken_over_with_its_data(of_nobody: Path) -> None:
    found = services.start(of_nobody, fsync=False)

    own = account.current()
    assert {path.lstat().st_uid for path in files_of(of_nobody)[1:]} == {own.uid}
    with psycopg.connect(databases_address(found)) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_what_others_could_read_or_change_before_is_made_anew_when_a_home_is_taken_over(of_nobody: Path) -> None:
    before = json.loads((of_nobody / "passwords.json").read_text())
    (of_nobody / "data" / "postgres" / "pg_hba.conf").write_text("host all all all trust\n")

    found = services.start(of_nobody, fsync=False)

    assert (found.passwords.postgres, found.passwords.valkey != before["valkey"]) == (before["postgres"], True)
    assert Redis.from_url(found.broker_url).ping()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(databases_address(found).replace(found.passwords.postgres, "wrong"))


def test_taking_over_twice_changes_nothing(of_nobody: Path) -> None:
    found = services.start(of_nobody, fsync=False)
    services.stop(of_nobody)

    again = services.start(of_nobody, fsync=False)

    assert again.passwords == found.passwords


def test_servers_that_run_as_nobody_go_on_and_are_taken_over_after_their_stop(
    home: Path, run_by_nobody: Services
) -> None:
    while_running = services.start(home, fsync=False)
    services.stop(home)
    after = services.start(home, fsync=False)

    assert while_running == run_by_nobody
    assert psutil.Process(after.postgres.pid).uids().real == account.current().uid


@pytest.mark.parametrize("kind", ["hard link", "file of root"])
def test_a_file_that_no_server_made_is_not_handed_over(kind: str, of_nobody: Path, open_folder: Path) -> None:
    planted = of_nobody / "data" / "postgres" / "planted"
    target = open_folder / "target"
    target.touch()
    if kind == "hard link":
        os.chown(target, NOBODY.uid, NOBODY.gid)
        planted.hardlink_to(target)
    else:
        planted.touch()

    with pytest.raises(ServicesError, match="planted"):
        services.start(of_nobody, fsync=False)

    assert target.stat().st_uid in {0, NOBODY.uid}
    assert processes_of(of_nobody) == []


def test_a_symbolic_link_is_handed_over_and_not_what_it_names(of_nobody: Path, open_folder: Path) -> None:
    target = open_folder / "target"
    target.touch()
    link = of_nobody / "data" / "valkey" / "link"
    link.symlink_to(target)
    os.chown(link, NOBODY.uid, NOBODY.gid, follow_symlinks=False)

    services.start(of_nobody, fsync=False)

    assert (target.stat().st_uid, link.lstat().st_uid) == (0, account.current().uid)
