"""Several processes share one instance, which lives until it is stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local.worlds import answer_of, postmasters_of, processes_of, starter
from worker.local import home as homes
from worker.local import records, services, supervisor
from worker.local.services import Services, Status


def test_a_second_start_finds_the_servers_of_the_first(home: Path, running: Services) -> None:
    again = services.start(home, fsync=False)

    assert again == running


def test_servers_that_run_are_found_without_their_lock(home: Path, running: Services) -> None:
    with records.exclusive(homes.at(home).lock):
        found = services.running(home)

    assert found == running


def test_servers_that_no_completed_start_has_recorded_are_left_to_a_start(home: Path, running: Services) -> None:
    homes.at(home).records.unlink()

    assert services.running(home) is None


def test_a_stopped_server_is_not_found_running(home: Path, running: Services) -> None:
    services.stop(home)

    assert services.running(home) is None


def test_two_processes_that_start_at_once_share_one_instance(home: Path) -> None:
    first, second = starter(home), starter(home)

    answers = [answer_of(first), answer_of(second)]

    first.communicate()
    second.communicate()
    assert answers[0] == answers[1]
    assert postmasters_of(home) == answers[0][:1]


def test_the_servers_outlive_a_starter_that_is_killed(home: Path) -> None:
    other = starter(home)
    pids = answer_of(other)

    other.kill()
    other.communicate()

    found = services.status(home)
    assert found.postgres is not None
    assert found.valkey is not None
    assert [found.postgres.pid, found.valkey.pid] == pids


def test_a_stop_ends_servers_that_another_process_started(home: Path) -> None:
    other = starter(home)
    answer_of(other)
    other.kill()
    other.communicate()

    services.stop(home)

    assert processes_of(home) == []


def test_a_stop_with_nothing_running_is_fine(home: Path) -> None:
    stopped = services.stop(home)

    assert stopped == Status(postgres=None, valkey=None)


def test_a_lost_record_does_not_double_the_servers(home: Path, running: Services) -> None:
    homes.at(home).records.unlink()

    again = services.start(home, fsync=False)

    assert (again.postgres.pid, again.valkey.pid) == (running.postgres.pid, running.valkey.pid)
    assert (again.postgres.port, again.valkey.port) == (running.postgres.port, running.valkey.port)


def test_servers_that_lost_record_and_pid_file_are_replaced_and_not_doubled(home: Path, running: Services) -> None:
    place = homes.at(home)
    place.records.unlink()
    (place.data / "postgres" / "postmaster.pid").unlink()
    (place.data / "valkey" / "valkey.pid").unlink()

    again = services.start(home, fsync=False)

    assert postmasters_of(home) == [again.postgres.pid]
    assert running.postgres.pid != again.postgres.pid
    assert running.valkey.pid != again.valkey.pid


@pytest.mark.parametrize("act", [services.start, services.stop])
def test_a_stranger_that_got_a_recorded_process_id_is_left_alone(
    home: Path, running: Services, act: Callable[[Path], object]
) -> None:
    services.stop(home)
    stranger = subprocess.Popen(["sleep", "60"])
    forged = {"pid": stranger.pid, "started_at": 0.0, "port": running.postgres.port}
    homes.at(home).records.write_text(json.dumps({"postgres": forged, "valkey": forged}))

    act(home)

    assert stranger.poll() is None
    assert stranger.pid not in postmasters_of(home)
    stranger.kill()
    stranger.wait()


def test_a_killed_postgres_comes_back_on_its_port_with_its_data(home: Path, running: Services) -> None:
    services.ensure_database(running, "kept")
    os.kill(running.postgres.pid, signal.SIGKILL)

    again = services.start(home, fsync=False)

    assert again.postgres.pid != running.postgres.pid
    assert again.database_url_of("kept") == running.database_url_of("kept")
    assert services.ensure_database(again, "kept") == running.database_url_of("kept")


@pytest.mark.usefixtures("running")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a working directory was removed")
def test_servers_of_a_home_that_was_removed_are_ended_by_the_next_start(home: Path) -> None:
    old = processes_of(home)
    shutil.rmtree(home)

    again = services.start(home, fsync=False)

    assert postmasters_of(home) == [again.postgres.pid]
    assert [each.pid for each in old if supervisor.is_alive(each)] == []
