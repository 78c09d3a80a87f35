"""The doctor says which scopes the key has, without spending anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from psycopg import connect

from tests.cli.conftest import Darkroom
from tests.fixtures.provider import Provider
from worker.cli.health import checks
from worker.core.db.session import Database

SCOPES = {"credits:read", "generations:read", "files:read", "generations:create", "files:create"}


def finding(darkroom: Darkroom, sandbox: Provider, part: str) -> dict[str, Any]:
    settings = {"RIVYA_API_KEY": sandbox.key, "RIVYA_BASE_URL": sandbox.base_url}
    examined = json.loads(darkroom("doctor", "--json", **settings).stdout)
    return next(each for each in examined["findings"] if each["part"] == part)


def test_the_doctor_proves_the_scopes_for_reading_and_says_which_cannot_be_proved(
    darkroom: Darkroom, sandbox: Provider
) -> None:
    found = finding(darkroom, sandbox, "scopes")

    assert found["verdict"] == "ok"
    assert found["detail"].startswith(
        "generations:read, files:read; generations:create and files:create show only when"
    )
    assert (sandbox.tasks(), sandbox.books()["uploads"]["total"]) == ([], 0)


@pytest.mark.parametrize("scope", ["generations:read", "files:read"])
def test_the_doctor_names_a_scope_that_is_missing(scope: str, darkroom: Darkroom, sandbox: Provider) -> None:
    sandbox.permit(*(SCOPES - {scope}))

    found = finding(darkroom, sandbox, "scopes")

    assert (found["verdict"], found["detail"]) == ("failed", f"the key lacks {scope}")
    assert "give the key these scopes" in found["next_step"]


@pytest.mark.parametrize("status", ["removed", "coming_soon"])
def test_a_model_that_is_not_offered_and_that_no_job_waits_for_is_no_finding(
    status: str, darkroom: Darkroom, sandbox: Provider
) -> None:
    sandbox.set(model_status={"nano-banana": status})

    found = finding(darkroom, sandbox, "prices")

    assert found["verdict"] == "ok"


def test_the_doctor_names_the_price_that_has_drifted_of_whichever_model(darkroom: Darkroom, sandbox: Provider) -> None:
    entry = {"credits": 9, "prompt_max": 1000, "references_max": 0, "reference_mb": 0, "params": {}}
    sandbox.set(extra_models={"z-image": entry})

    found = finding(darkroom, sandbox, "prices")

    assert (found["verdict"], found["detail"]) == ("failed", "z-image costs 9 and 1 is held")


def test_the_doctor_says_that_the_default_model_is_not_offered(darkroom: Darkroom, sandbox: Provider) -> None:
    sandbox.set(model_status={"qwen-image": "coming_soon"})

    found = finding(darkroom, sandbox, "prices")

    assert (found["verdict"], found["detail"]) == ("warning", "not offered: qwen-image (coming_soon)")


def test_the_doctor_says_when_a_forgotten_transaction_keeps_dead_rows_and_how_to_find_it(
    darkroom: Darkroom,
    sandbox: Provider,
    database: Database,
    good_manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    darkroom("submit", str(good_manifest))
    assert finding(darkroom, sandbox, "vacuum")["verdict"] == "ok"
    monkeypatch.setattr(checks, "DEAD_ROWS_MOST", 20)

    with connect(database.conninfo) as forgotten:
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM job")
        # A session counts what it did when it ends.
        with connect(database.conninfo, autocommit=True) as busy:
            for _ in range(30):
                busy.execute("UPDATE account SET probes = probes")

        found = finding(darkroom, sandbox, "vacuum")

    assert found["verdict"] == "warning"
    assert "dead rows in the table account" in found["detail"]
    assert "FROM pg_stat_activity WHERE backend_xmin IS NOT NULL" in found["next_step"]
