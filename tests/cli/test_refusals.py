"""What cannot be done is said in one sentence with the next step, and the exit status tells whose fault it is."""

import json

import pytest

from tests.cli.conftest import Darkroom


def test_without_a_database_the_next_step_is_named(spawned: Darkroom) -> None:
    refused = spawned("status")

    assert refused.returncode == 1
    assert refused.stderr == (
        "darkroom: no database is running in .darkroom here, in a folder above, or in your home folder: start Darkroom"
        " with `darkroom up` in another terminal, or set DARKROOM_HOME or DARKROOM_DATABASE_URL\n"
    )


def test_a_base_url_without_a_key_is_a_configuration_error(bare: Darkroom) -> None:
    refused = bare("status", RIVYA_BASE_URL="http://127.0.0.1:1")

    assert refused.returncode == 2
    assert "RIVYA_API_KEY is not" in refused.stderr


def test_all_faults_of_the_settings_are_said_at_once(bare: Darkroom) -> None:
    refused = bare("status", DARKROOM_CONCURRENCY="none", DARKROOM_MAX_IN_FLIGHT="0")

    assert refused.returncode == 2
    assert "DARKROOM_CONCURRENCY" in refused.stderr
    assert "DARKROOM_MAX_IN_FLIGHT" in refused.stderr


@pytest.mark.parametrize("window", ["8d", "400d"])
def test_a_window_that_no_provider_keeps_idempotency_keys_for_is_refused(bare: Darkroom, window: str) -> None:
    refused = bare("status", DARKROOM_IDEMPOTENCY_WINDOW=window)

    assert refused.returncode == 2
    assert "DARKROOM_IDEMPOTENCY_WINDOW" in refused.stderr
    assert "DARKROOM_IDEMPOTENCY_WINDOW" not in bare("status", DARKROOM_IDEMPOTENCY_WINDOW="7d").stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stop", "`darkroom down`"),
        ("start", "`darkroom up`"),
        ("run", "`darkroom submit MANIFEST`"),
        ("rm", "`darkroom cancel BATCH`"),
        ("delete", "`darkroom cancel BATCH`"),
        ("kill", "`darkroom cancel BATCH`"),
        ("version", "`darkroom --version`"),
        ("config", "`darkroom env`"),
    ],
)
def test_a_command_that_people_try_and_that_is_none_names_the_one_that_is_meant(
    bare: Darkroom, name: str, hint: str
) -> None:
    done = bare(name, "chairs", COLUMNS="200")

    assert done.returncode == 2
    assert f"No such command '{name}'" in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize("name", ["list", "jobs", "ps", "history", "show", "info"])
def test_other_names_for_looking_at_batches_run_the_command(darkroom: Darkroom, name: str) -> None:
    assert "There is no batch yet" in darkroom(name).stdout


def test_a_value_that_is_not_permitted_is_refused_in_plain_words(bare: Darkroom) -> None:
    said = bare("status", "--state", "finished", COLUMNS="200").stderr

    assert "'--state': 'finished' is not one of 'open', 'failed'" in said
    assert "Value error" not in said


def test_a_database_that_does_not_answer_is_no_traceback(bare: Darkroom) -> None:
    refused = bare("status", DARKROOM_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert refused.returncode == 1
    assert refused.stderr.startswith("darkroom: the database reported an error: ")
    assert "Traceback" not in refused.stderr


def test_an_empty_database_is_told_from_one_that_is_down(bare: Darkroom, empty_database_url: str) -> None:
    refused = bare("status", DARKROOM_DATABASE_URL=empty_database_url)

    assert refused.returncode == 1
    assert "lacks tables" in refused.stderr


def test_the_doctor_of_a_folder_where_nothing_runs_fails(bare: Darkroom) -> None:
    examined = bare("doctor", "--json")

    found = {each["part"]: each["verdict"] for each in json.loads(examined.stdout)["findings"]}
    assert examined.returncode == 1
    assert found == {"database": "failed", "broker": "failed", "store": "warning", "provider": "failed"}


@pytest.mark.parametrize("command", ["submit", "status", "watch", "results", "sheet", "cancel", "retry", "up", "demo"])
def test_every_command_explains_itself(bare: Darkroom, command: str) -> None:
    helped = bare(command, "--help")

    assert helped.returncode == 0
    assert "Usage: darkroom" in helped.stdout
