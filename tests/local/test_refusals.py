"""What cannot be started says why, and what to do next."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from worker.local import home as homes
from worker.local import services
from worker.local.errors import ServicesError, tail
from worker.local.services import Services

LIMIT_BYTES = 256 * 1024
START = "import sys, pathlib; from worker.local import services; services.start(pathlib.Path(sys.argv[1]))"


def _limit_file_sizes() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))


def test_a_database_that_cannot_be_written_shows_the_words_of_initdb_and_the_next_step(home: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""
    result = subprocess.run(
        [sys.executable, "-c", START, str(home)],
        preexec_fn=_limit_file_sizes,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "ServicesError: The embedded database could not be made: initdb ended with status" in result.stdout
    assert "Next step: fix what it says" in result.stdout


def test_a_database_that_could_not_be_made_is_made_by_the_next_start(home: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", START, str(home)],
        preexec_fn=_limit_file_sizes,
        stderr=subprocess.DEVNULL,
        check=False,
    )

    found = services.start(home, fsync=False)

    assert services.ensure_database(found, "darkroom") == found.database_url


def test_a_broker_that_does_not_come_up_shows_the_end_of_its_log(home: Path, running: Services) -> None:
    services.stop(home)
    manifest = homes.at(home).data / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("no manifest\n")

    with pytest.raises(ServicesError) as caught:
        services.start(home, fsync=False)

    assert str(homes.at(running.home).log("valkey")) in caught.value.reason
    assert "manifest" in caught.value.reason


@pytest.mark.usefixtures("running")
def test_data_without_their_passwords_are_refused_and_left_alone(home: Path) -> None:
    services.stop(home)
    homes.at(home).passwords.unlink()

    with pytest.raises(ServicesError, match=r"password file .* is missing"):
        services.start(home, fsync=False)

    assert (homes.at(home).data / "postgres" / "PG_VERSION").exists()


@pytest.mark.usefixtures("running")
def test_data_of_another_postgres_are_refused_and_left_alone(home: Path) -> None:
    services.stop(home)
    version = homes.at(home).data / "postgres" / "PG_VERSION"
    version.write_text("17\n")

    with pytest.raises(ServicesError, match="was made by Postgres 17, this is 18"):
        services.start(home, fsync=False)

    assert version.read_text() == "17\n"


def test_a_home_that_is_a_file_is_refused_with_its_path(open_folder: Path) -> None:
    path = open_folder / "file"
    path.touch()

    with pytest.raises(ServicesError, match=str(path)):
        services.start(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"postgres": {"pid": 1}}', "null"])
def test_a_broken_record_is_no_record(home: Path, running: Services, text: str) -> None:
    homes.at(home).records.write_text(text)

    again = services.start(home, fsync=False)

    assert again.postgres.pid == running.postgres.pid


def test_the_tail_of_a_log_that_is_not_there_says_so(open_folder: Path) -> None:
    assert tail(open_folder / "absent.log").endswith("does not exist")
