"""A cap is set by one command, kept with who and why, and named by the status of what it stops."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.cli.conftest import Darkroom
from worker.core.db.session import Database

CHANGES = "SELECT subject, field, before, after, actor, reason FROM change ORDER BY id"


@pytest.fixture
def batch(darkroom: Darkroom, good_manifest: Path) -> str:
    """Return the id of a batch of one pending job, whose owner is mia."""
    done = darkroom("submit", str(good_manifest), "--owner", "mia", "--token", "spring", "--json")
    return str(json.loads(done.stdout)["batch"])


def waiting_for(darkroom: Darkroom, batch: str, **environment: str) -> Any:
    return json.loads(darkroom("status", batch, "--json", **environment).stdout)["waiting_for"]


def test_a_batch_at_its_cap_waits_and_says_how_to_go_on(darkroom: Darkroom, batch: str) -> None:
    darkroom("cap", batch, "3")

    found = waiting_for(darkroom, batch)

    assert found["reason"] == "credit cap reached"
    assert f"darkroom cap {batch} N" in found["next_step"]


def test_a_batch_whose_owners_month_is_used_up_says_so(darkroom: Darkroom, batch: str) -> None:
    darkroom("cap", "--owner", "mia", "--monthly", "3")

    found = waiting_for(darkroom, batch)

    assert found["reason"] == "monthly cap of mia reached"
    assert "darkroom cap --owner mia --monthly N" in found["next_step"]


def test_a_batch_that_waits_for_the_wallet_says_so(darkroom: Darkroom, batch: str) -> None:
    found = waiting_for(darkroom, batch, DARKROOM_WALLET_FLOOR="10")

    assert found["reason"] == (
        "the wallet has not been read yet, and the next image needs 4 above DARKROOM_WALLET_FLOOR (10)"
    )


@pytest.mark.parametrize("lift", [("spring", "none"), ("--owner", "mia", "--monthly", "none")])
def test_a_lifted_cap_holds_nothing_up(lift: tuple[str, ...], darkroom: Darkroom, batch: str) -> None:
    darkroom("cap", *(lift[:-1]), "3")

    darkroom("cap", *lift)

    assert waiting_for(darkroom, batch) is None


def test_a_change_of_a_cap_is_kept_with_who_and_why(darkroom: Darkroom, batch: str, database: Database) -> None:
    done = darkroom("cap", "spring", "1,000", "--by", "ann", "--reason", "the spring sale", "--json")

    with database.transaction() as tx:
        kept = [tuple(row) for row in tx.execute(text(CHANGES))]
    assert json.loads(done.stdout) == {"batch": batch, "before": None, "after": 1000, "committed": 0}
    assert kept == [(f"batch:{batch}", "credit_cap", None, "1000", "ann", "the spring sale")]


def test_without_a_name_the_user_of_the_machine_is_kept(darkroom: Darkroom, batch: str, database: Database) -> None:
    darkroom("cap", "spring", "8")

    with database.transaction() as tx:
        (actor,) = tx.execute(text("SELECT actor FROM change")).scalars()
    assert "@" in actor


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("spring",),
        ("--owner", "mia"),
        ("--monthly", "8"),
        ("spring", "8", "--owner", "mia", "--monthly", "8"),
        ("spring", "8.5"),
        ("spring", "many"),
        ("spring", "9" * 16),
    ],
)
def test_a_cap_that_is_not_said_clearly_ends_with_2(arguments: tuple[str, ...], darkroom: Darkroom, batch: str) -> None:
    done = darkroom("cap", *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("darkroom: ")
