"""The servers serve, to those who have the password and on this machine alone."""

import fcntl
import os
import signal
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.local.worlds import processes_of
from worker.local import home as homes
from worker.local import services, supervisor
from worker.local.errors import ServicesError
from worker.local.services import Services


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)


def test_the_database_url_opens_a_postgres_18_made_for_many_connections(shared: Services) -> None:
    with psycopg.connect(_plain(shared.database_url)) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        connections = connection.execute("SHOW max_connections").fetchone()

    assert version is not None
    assert version[0].startswith("18.")
    assert connections == ("200",)


def test_what_is_committed_is_on_disk(home: Path) -> None:
    url = services.start(home).database_url

    with psycopg.connect(_plain(url)) as connection:
        found = connection.execute("SHOW fsync").fetchone()

    assert found == ("on",)


def test_a_test_may_give_durability_away(shared: Services) -> None:
    with psycopg.connect(_plain(shared.database_url)) as connection:
        found = connection.execute("SHOW fsync").fetchone()

    assert found == ("off",)


def test_the_broker_keeps_its_messages_over_a_restart(home: Path, running: Services) -> None:
    with redis.Redis.from_url(running.broker_url) as broker:
        broker.rpush("queue", "message")

    services.stop(home)
    again = services.start(home, fsync=False)

    with redis.Redis.from_url(again.broker_url) as broker:
        assert broker.lrange("queue", 0, -1) == [b"message"]


def test_a_restart_keeps_the_addresses(home: Path, running: Services) -> None:
    services.stop(home)

    again = services.start(home, fsync=False)

    assert (again.database_url, again.broker_url) == (running.database_url, running.broker_url)


def test_the_servers_listen_on_the_loopback_alone(shared: Services) -> None:
    listening = {
        (link.laddr.ip, link.laddr.port)
        for each in processes_of(shared.home)
        for link in each.net_connections(kind="inet")
        if link.status == psutil.CONN_LISTEN
    }

    assert listening == {("127.0.0.1", shared.postgres.port), ("127.0.0.1", shared.valkey.port)}


def test_the_database_is_closed_to_who_has_no_password(shared: Services) -> None:
    url = _plain(shared.database_url).replace(shared.passwords.postgres, "guess")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_the_broker_is_closed_to_who_has_no_password(shared: Services) -> None:
    with (
        redis.Redis(port=shared.valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_passwords_are_readable_by_their_owner_alone_and_not_in_a_command(shared: Services) -> None:
    commands = " ".join(part for each in processes_of(shared.home) for part in each.cmdline())

    assert homes.at(shared.home).passwords.stat().st_mode & 0o777 == 0o600
    assert shared.passwords.postgres not in commands + repr(shared)
    assert shared.passwords.valkey not in commands + repr(shared)


def test_the_servers_do_not_inherit_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVYA_API_KEY", "a key")

    found = services.start(home, fsync=False)

    assert "RIVYA_API_KEY" not in psutil.Process(found.postgres.pid).environ()
    assert "RIVYA_API_KEY" not in psutil.Process(found.valkey.pid).environ()


def test_a_database_is_made_once_and_then_found(shared: Services) -> None:
    made = services.ensure_database(shared, "darkroom_sandbox")
    found = services.ensure_database(shared, "darkroom_sandbox")

    assert made == found
    with psycopg.connect(_plain(found)) as connection:
        assert connection.info.dbname == "darkroom_sandbox"


@pytest.mark.parametrize("name", ["", "Darkroom", "two words", 'a"b', "1st", "a" * 64])
def test_a_name_that_would_need_quotes_is_no_name_for_a_database(shared: Services, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a database"):
        services.ensure_database(shared, name)


def test_a_server_that_hangs_is_killed_when_its_grace_is_over(home: Path, running: Services) -> None:
    os.kill(running.valkey.pid, signal.SIGSTOP)

    supervisor.end(homes.at(home).data / "valkey", running.valkey, grace_s=0.1)

    assert supervisor.named(running.valkey.pid) is None


def test_a_stop_ends_postgres_although_a_client_is_connected(home: Path, running: Services) -> None:
    client = psycopg.connect(_plain(running.database_url))

    services.stop(home)

    assert processes_of(home) == []
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")


@pytest.mark.parametrize("server", ["postgres", "valkey"])
def test_a_running_server_holds_the_lock_on_its_log(home: Path, running: Services, server: str) -> None:
    log = homes.at(running.home).log(server)

    with log.open("ab") as mine, pytest.raises(BlockingIOError):
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)

    services.stop(home)
    with log.open("ab") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.usefixtures("running")
def test_a_server_that_cannot_be_seen_is_not_doubled(home: Path) -> None:
    """Two containers with one volume see each other's files and locks, but not each other's processes."""
    services.stop(home)

    with homes.at(home).log("postgres").open("ab") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(ServicesError, match="cannot be seen from here"):
            services.start(home, fsync=False)
