"""What is dearer than DARKROOM_APPROVE_ABOVE is done when a second person agrees, and only then."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.cli.conftest import Darkroom
from tests.cli.doubts import node_of
from worker.core.db.session import Database

DEAR = {"DARKROOM_APPROVE_ABOVE": "3"}
"""One image costs 4 credits."""


def by(name: str) -> tuple[str, ...]:
    return ("--by", name, "--reason", "the spring sale")


def approvals(database: Database) -> list[tuple[str, str, str | None]]:
    with database.transaction() as tx:
        rows = tx.execute(text("SELECT request, requested_by, approved_by FROM approval ORDER BY requested_at"))
        return [tuple(row) for row in rows]


@pytest.fixture
def batch(darkroom: Darkroom, good_manifest: Path) -> str:
    done = darkroom("submit", str(good_manifest), "--owner", "mia", "--json")
    return str(json.loads(done.stdout)["batch"])


@pytest.fixture
def doubt(darkroom: Darkroom, database_url: str, tmp_path: Path) -> str:
    with node_of(database_url, tmp_path) as node:
        node.submit({"prompt": "A chair", "key": "red"}, name="chairs", owner="mia")
        node.round()
    found: list[dict[str, Any]] = json.loads(darkroom("audit", "in-doubt", "--json").stdout)
    return str(found[0]["generation_id"])


class TestSubmit:
    def test_a_dear_batch_is_paused_until_another_person_resumes_it(
        self, darkroom: Darkroom, good_manifest: Path, database: Database
    ) -> None:
        submitted = darkroom("submit", str(good_manifest), "--json", **DEAR)
        found = json.loads(submitted.stdout)["batch"]
        state = json.loads(submitted.stdout)["state"]

        alone = darkroom("resume", found, **DEAR)
        second = darkroom("resume", found, "--by", "ann", **DEAR)

        assert (submitted.returncode, state) == (0, "paused")
        assert alone.returncode == 1
        assert "another person resumes it" in alone.stdout + alone.stderr
        assert second.returncode == 0
        assert json.loads(darkroom("status", found, "--json").stdout)["state"] == "running"
        [(request, _, approved_by)] = approvals(database)
        assert (request, approved_by) == ("submit", "ann")

    def test_people_are_told_what_is_missing(self, darkroom: Darkroom, good_manifest: Path) -> None:
        said = darkroom("submit", str(good_manifest), **DEAR).stdout

        assert "needs a second person" in said
        assert "darkroom resume" in said

    def test_a_cheap_batch_needs_nobody(self, darkroom: Darkroom, good_manifest: Path) -> None:
        done = darkroom("submit", str(good_manifest), "--json", DARKROOM_APPROVE_ABOVE="4")

        assert json.loads(done.stdout)["state"] == "open"


class TestCap:
    def test_a_raised_cap_waits_for_the_same_order_of_another_person(
        self, darkroom: Darkroom, batch: str, database: Database
    ) -> None:
        darkroom("cap", batch, "2")

        first = darkroom("cap", batch, "400", *by("mia"), **DEAR)
        same = darkroom("cap", batch, "400", *by("mia"), **DEAR)
        other_order = darkroom("cap", batch, "500", *by("ann"), **DEAR)
        second = darkroom("cap", batch, "400", *by("ben"), "--json", **DEAR)

        assert [each.returncode for each in (first, same, other_order, second)] == [1, 1, 1, 0]
        assert "when another person gives the same order" in first.stderr
        assert json.loads(second.stdout)["after"] == 400
        assert approvals(database) == [("cap 400", "mia", "ben"), ("cap 500", "ann", None)]

    def test_an_agreement_counts_once(self, darkroom: Darkroom, batch: str) -> None:
        darkroom("cap", batch, "2")
        darkroom("cap", batch, "400", *by("mia"), **DEAR)
        darkroom("cap", batch, "400", *by("ben"), **DEAR)
        darkroom("cap", batch, "2", *by("ben"), **DEAR)

        assert darkroom("cap", batch, "400", *by("ben"), **DEAR).returncode == 1

    @pytest.mark.parametrize("amount", ["1", "3"])
    def test_a_lowered_or_a_low_cap_needs_nobody(self, amount: str, darkroom: Darkroom, batch: str) -> None:
        darkroom("cap", batch, "2")

        assert darkroom("cap", batch, amount, *by("mia"), **DEAR).returncode == 0

    def test_lifting_the_cap_of_an_owner_is_dear(self, darkroom: Darkroom) -> None:
        darkroom("cap", "--owner", "mia", "--monthly", "2")
        lift = ("cap", "--owner", "mia", "--monthly", "none")

        assert darkroom(*lift, *by("mia"), **DEAR).returncode == 1
        assert darkroom(*lift, *by("ann"), **DEAR).returncode == 0

    def test_an_order_that_is_refused_uses_up_no_agreement(
        self, darkroom: Darkroom, batch: str, database: Database
    ) -> None:
        darkroom("cap", batch, "2")
        darkroom("cap", batch, "400", *by("mia"), **DEAR)
        with database.transaction() as tx:
            tx.execute(text("UPDATE batch SET committed = 500"))
        darkroom("cap", batch, "400", *by("ben"), **DEAR)

        assert approvals(database) == [("cap 400", "mia", None)]


class TestDecisions:
    def test_a_dear_doubt_is_resolved_by_two(self, darkroom: Darkroom, doubt: str) -> None:
        order = ("resolve", doubt, "--not-charged")

        first, second = (darkroom(*order, *by(name), **DEAR) for name in ("mia", "ann"))

        assert (first.returncode, second.returncode) == (1, 0)
        assert "from held to cap" in second.stdout
        assert darkroom("audit", "verify").returncode == 0

    def test_a_dear_correction_is_made_by_two(self, darkroom: Darkroom, doubt: str) -> None:
        darkroom("resolve", doubt, "--charged", "4", *by("mia"))
        order = ("correct", doubt, "--spent", "0")

        first, second = (darkroom(*order, *by(name), **DEAR) for name in ("mia", "ann"))

        assert (first.returncode, second.returncode) == (1, 0)
        assert darkroom("audit", "verify").returncode == 0


class TestRetry:
    @pytest.fixture
    def failed(self, darkroom: Darkroom, doubt: str) -> str:
        darkroom("resolve", doubt, "--charged", "4", *by("mia"))
        return "chairs"

    def test_a_dear_retry_waits_for_the_same_order_of_another_person(
        self, darkroom: Darkroom, failed: str, database: Database
    ) -> None:
        order = ("retry", failed, "--yes", "--json")

        first, same = (darkroom(*order, *by("mia"), **DEAR) for _ in range(2))
        second = darkroom(*order, *by("ann"), **DEAR)

        assert [each.returncode for each in (first, same, second)] == [1, 1, 0]
        assert json.loads(second.stdout)["jobs"] == 1
        assert approvals(database) == [("retry for 4 credits", "mia", "ann")]

    def test_who_retried_what_is_in_the_log_of_changes(
        self, darkroom: Darkroom, failed: str, database: Database
    ) -> None:
        darkroom("retry", failed, "--yes", *by("mia"))

        with database.transaction() as tx:
            kept = tx.execute(text("SELECT actor, after FROM change WHERE field = 'retried'")).one()
        assert tuple(kept) == ("mia", "1 jobs for 4 credits, 0 paid images")

    def test_a_cheap_retry_needs_nobody(self, darkroom: Darkroom, failed: str) -> None:
        done = darkroom("retry", failed, "--yes", *by("mia"), DARKROOM_APPROVE_ABOVE="4")

        assert done.returncode == 0


class TestIdentity:
    REQUIRED = {"DARKROOM_REQUIRE_IDENTITY": "1"}  # noqa: RUF012 - a constant of the tests

    def test_a_name_that_a_person_gives_itself_is_refused(self, darkroom: Darkroom, batch: str) -> None:
        done = darkroom("cap", batch, "400", *by("ann"), **self.REQUIRED)

        assert done.returncode == 2
        assert "DARKROOM_REQUIRE_IDENTITY" in done.stderr

    def test_decisions_are_signed_with_the_login(self, darkroom: Darkroom, doubt: str, database: Database) -> None:
        done = darkroom("resolve", doubt, "--not-charged", "--reason", "seen", **self.REQUIRED)

        with database.transaction() as tx:
            actors = tx.execute(text("SELECT DISTINCT actor FROM change WHERE subject LIKE 'generation:%'")).scalars()
            assert all(actor.startswith("cli:") for actor in actors)
        assert done.returncode == 0
