"""An operator registers, lists, tests and removes endpoints at a provider."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.cli.conftest import Darkroom, run_here
from tests.fixtures.provider import Provider
from worker.core.db.session import Database

ADDRESS = "http://127.0.0.1:9/webhooks/provider"


@pytest.fixture
def command(tmp_path: Path, database_url: str, sandbox: Provider) -> Darkroom:
    """Return the command at a sandbox that sends webhooks to this machine."""
    sandbox.set(webhook_loopback=True)
    settings = {
        "DARKROOM_DATABASE_URL": database_url,
        "DARKROOM_STORE": str(tmp_path / "store"),
        "RIVYA_BASE_URL": sandbox.base_url,
        "RIVYA_API_KEY": sandbox.key,
    }
    return lambda *arguments, **environment: run_here(tmp_path, {**settings, **environment}, *arguments)


def listed(command: Darkroom) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command("webhook", "list", "--json").stdout)
    return found


def test_what_is_added_is_listed_with_its_state_at_the_provider_and_without_its_path(command: Darkroom) -> None:
    added = json.loads(command("webhook", "add", ADDRESS, "--json").stdout)

    [found] = listed(command)

    assert added["url"].startswith(f"{ADDRESS}/")
    assert len(added["url"].rpartition("/")[2]) == 43
    assert (found["webhook"], found["address"], found["outcomes"]) == (added["webhook"], ADDRESS, {})
    assert found["provider"] == {"id": added["provider_id"], "status": "active", "failure_count": 0}


def test_an_endpoint_is_removed_by_either_id(command: Darkroom) -> None:
    first, second = (json.loads(command("webhook", "add", ADDRESS, "--json").stdout) for _ in range(2))

    done = [command("webhook", "remove", each) for each in (first["webhook"], second["provider_id"])]

    assert [each.returncode for each in done] == [0, 0]
    assert listed(command) == []


def test_a_test_event_is_asked_for(command: Darkroom) -> None:
    added = json.loads(command("webhook", "add", ADDRESS, "--json").stdout)

    assert command("webhook", "test", added["provider_id"]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("add", "http://darkroom.example.com/hooks"), 2, "https:// addresses only"),
        (("add", "https://me@darkroom.example.com"), 2, "without user"),
        (("add", "https://10.0.0.1/hooks"), 1, "webhook_url_rejected"),
        (("add", ADDRESS, "--verifiers", "standard,guess"), 2, "--verifiers"),
        (("remove", "whend_unknown"), 2, "darkroom webhook list"),
        (("test", "whend_unknown"), 2, "darkroom webhook list"),
    ],
)
def test_what_cannot_be_done_is_explained(
    command: Darkroom, arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    done = command("webhook", *arguments)

    assert done.returncode == exit_code
    assert words in done.stderr
    assert listed(command) == []


def test_a_key_without_the_scope_is_told_so(command: Darkroom, sandbox: Provider) -> None:
    sandbox.permit("credits:read")

    done = command("webhook", "list")

    assert "webhooks:manage" in done.stderr


def test_a_secret_is_rotated_and_the_one_before_is_kept_beside_it(
    command: Darkroom, database: Database, sandbox: Provider
) -> None:
    added = json.loads(command("webhook", "add", ADDRESS, "--json").stdout)
    before = secrets_of(database)

    rotated = [command("webhook", "rotate-secret", added["webhook"], "--by", "mia") for _ in range(2)]
    after = secrets_of(database)

    assert [each.returncode for each in rotated] == [0, 0]
    assert len(before) == 1
    assert len({*before, *after}) == 3
    assert len(after) == 2
    assert before[0] not in after
    with database.transaction() as tx:
        kept = tx.execute(text("SELECT actor, after FROM change WHERE field = 'secret' ORDER BY id")).all()
    assert [tuple(each) for each in kept] == [("mia", "to be rotated"), ("mia", "rotated")] * 2


def test_an_endpoint_that_the_provider_has_no_more_is_not_rotated(command: Darkroom, sandbox: Provider) -> None:
    added = json.loads(command("webhook", "add", ADDRESS, "--json").stdout)
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    url = f"{sandbox.base_url}/api/v1/webhooks/{added['provider_id']}"
    assert requests.delete(url, headers=headers, timeout=10).ok

    done = command("webhook", "rotate-secret", added["webhook"])

    assert done.returncode == 2
    assert "not known at the provider" in done.stderr


def secrets_of(database: Database) -> list[str]:
    with database.transaction() as tx:
        return str(tx.execute(text("SELECT secret FROM webhook_endpoint")).scalar_one()).split()
