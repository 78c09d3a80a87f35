"""Actions on many batches are kept: what was meant, by whom, what came of each; and one that runs can be stopped."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.cli.conftest import Darkroom, status
from worker.batches import bulk_operations
from worker.batches.actions import Order
from worker.batches.rules.bulk_operation import Selection
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.states import BatchAction

Submit = Callable[[str], str]


@pytest.fixture
def submit(darkroom: Darkroom, good_manifest: Path) -> Submit:
    """Return what submits a batch of one pending job under a token, and gives its id."""

    def submitted(token: str) -> str:
        done = darkroom("submit", str(good_manifest), "--token", token, "--json", "--owner", "mia")
        return str(json.loads(done.stdout)["batch"])

    return submitted


def test_what_was_meant_and_what_came_of_it_is_kept(darkroom: Darkroom, submit: Submit) -> None:
    batches = [submit("a"), submit("b")]

    done = darkroom("pause", "--all", "--yes", "--by", "rita", "--reason", "the sale", "--json")

    operation = json.loads(done.stdout)["operation"]
    (listed,) = json.loads(darkroom("bulk", "list", "--json").stdout)
    shown = json.loads(darkroom("bulk", "show", operation, "--json").stdout)
    wanted = {"id": operation, "action": "pause", "state": "done", "filter": {"all": True}, "actor": "rita"}
    assert listed | {**wanted, "reason": "the sale", "batches": 2, "done": 2} == listed
    assert [(each["seen"]["batch"], each["state"]) for each in shown["items"]] == [(batch, "done") for batch in batches]
    assert [status(darkroom, batch)["state"] for batch in batches] == ["paused", "paused"]


def test_without_a_filter_all_has_to_be_said_and_with_one_it_may_not(darkroom: Darkroom, submit: Submit) -> None:
    batch = submit("a")

    for options in ((), ("--all", "--owner", "mia"), (batch, "--all")):
        done = darkroom("cancel", *options, "--yes")
        assert (done.returncode, "or --all" in done.stderr) == (2, True)

    assert status(darkroom, batch)["state"] != "cancelled"


def test_an_operation_that_runs_can_be_stopped(darkroom: Darkroom, submit: Submit, database: Database) -> None:
    batch = submit("a")
    author = Author(actor="mia", reason=None, now=datetime.now(UTC), new_id=uuid4)
    made = bulk_operations.create(database, Order(action=BatchAction.CANCEL, author=author), Selection(owner="mia"))
    bulk_operations.start(database, made.id, author, approve_above=None)

    stopped = darkroom("bulk", "cancel", str(made.id))
    again = darkroom("bulk", "cancel", str(made.id))

    assert "is cancelled: 0 done, 1 skipped" in stopped.stdout
    assert (again.returncode, "is cancelled already" in again.stderr) == (1, True)
    assert status(darkroom, batch)["state"] != "cancelled"


def test_an_unknown_operation_is_an_error_with_the_next_step(darkroom: Darkroom) -> None:
    done = darkroom("bulk", "show", "nothing")

    assert (done.returncode, "`darkroom bulk list` lists them" in done.stderr) == (1, True)


@pytest.fixture
def failed(submit: Submit, database: Database) -> list[str]:
    """Return two batches whose one job has failed before anything was paid."""
    batches = [submit("a"), submit("b")]
    with database.transaction() as tx:
        tx.execute(text("UPDATE job SET state = 'failed', failure_code = 'made_up', ended_at = now()"))
        tx.execute(text("UPDATE batch SET has_pending = false"))
    return batches


def test_a_retry_of_a_filter_shows_the_price_and_keeps_its_limit(
    darkroom: Darkroom, failed: list[str], database: Database
) -> None:
    shown = json.loads(darkroom("retry", "--owner", "mia", "--dry-run", "--json").stdout)
    unasked = darkroom("retry", "--owner", "mia")
    refused = darkroom("retry", "--owner", "mia", "--yes", "--max-credits", "7")
    none = darkroom("retry", "--owner", "mia", "--code", "other", "--yes")
    done = darkroom("retry", "--owner", "mia", "--yes", "--max-credits", "8", "--json")

    assert [(each["failed"], each["credits"]["failed"]) for each in shown["batches"]] == [(1, 4), (1, 4)]
    assert (unasked.returncode, "add --yes" in unasked.stderr) == (2, True)
    assert "would cost 8 credits, more than the 7" in refused.stderr
    assert "no matching failed jobs" in none.stderr
    found = json.loads(done.stdout)
    assert [(each["batch"], each["retried"]["credits"]) for each in found["batches"]] == [(each, 4) for each in failed]
    assert [status(darkroom, batch)["jobs"]["pending"] for batch in failed] == [1, 1]


def test_a_dear_retry_of_a_filter_is_started_by_a_second_person(darkroom: Darkroom, failed: list[str]) -> None:
    dear = {"DARKROOM_APPROVE_ABOVE": "7"}
    waits = darkroom("retry", "--owner", "mia", "--yes", "--by", "mia", **dear)
    (operation,) = json.loads(darkroom("bulk", "list", "--json").stdout)

    done = darkroom("bulk", "start", operation["id"], "--by", "rita", "--json", **dear)

    assert (waits.returncode, "another person starts it" in waits.stderr) == (1, True)
    assert operation["id"] in waits.stderr
    assert (operation["state"], json.loads(done.stdout)["done"]) == ("previewed", True)
    assert [status(darkroom, batch)["jobs"]["pending"] for batch in failed] == [1, 1]


def test_a_dry_run_of_one_retry_shows_its_price_and_changes_nothing(darkroom: Darkroom, failed: list[str]) -> None:
    shown = json.loads(darkroom("retry", failed[0], "--dry-run", "--json").stdout)

    assert [(each["batch"], each["failed"], each["credits"]["failed"]) for each in shown["batches"]] == [
        (failed[0], 1, 4)
    ]
    assert status(darkroom, failed[0])["jobs"]["failed"] == 1
