"""An auditor's login, which may read and close the books and nothing else."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from tests.audit.conftest import broken, post
from tests.pipeline.node import Node
from worker import wiring
from worker.audit import sealing
from worker.audit.queries import seals
from worker.audit.verify import verify
from worker.cli import signing
from worker.core.db.session import Database

LOGIN = f"darkroom_test_auditor_{os.getpid()}"


@pytest.fixture
def auditor(node: Node, database_url: str, superuser: Engine) -> Iterator[Database]:
    """Yield the database of a login that is a member of darkroom_audit alone."""
    with superuser.begin() as tx:
        tx.execute(text(f"CREATE ROLE {LOGIN} LOGIN PASSWORD 'only here' IN ROLE darkroom_audit"))
    url = make_url(database_url).set(username=LOGIN, password="only here")
    opened = Database(url.render_as_string(hide_password=False))
    yield opened
    opened.close()
    with superuser.begin() as tx:
        tx.execute(text(f"DROP ROLE {LOGIN}"))


def test_an_auditor_closes_the_books_by_the_clock_of_the_server(auditor: Database, node: Node) -> None:
    before = datetime.now(UTC)

    closed_at = sealing.close_books(auditor, datetime(2000, 1, 1, tzinfo=UTC))

    assert before <= closed_at <= datetime.now(UTC)
    assert broken(node) == {}


def test_the_seal_of_an_auditor_is_the_one_that_the_program_would_have_made(auditor: Database, node: Node) -> None:
    """Two ways to write the same format: the texts of entries have tabs, line ends and signs that are escaped."""
    post(node, node.clock())
    sealing.close_books(auditor, node.clock())
    with node.services.database.transaction() as tx:
        first = seals.last(tx)
    post(node, node.clock())
    sealing.close_books(auditor, node.clock())
    sealing.close_books(node.services.database, datetime.now(UTC))

    assert first is not None
    assert (first.id, first.entries, broken(node)) == (1, 5, {})


def test_an_auditor_takes_a_report_out_without_a_right_to_write(auditor: Database) -> None:
    wiring.clock.follow(auditor)

    signing.record_export(auditor, "report:spend", "csv")

    with auditor.transaction() as tx:
        assert tx.execute(text("SELECT count(*) FROM change WHERE field = 'exported'")).scalar_one() == 0


def failing(database: Database) -> set[str]:
    with database.transaction() as tx:
        return {check.name for check in verify(tx).checks if not check.ok}


def test_an_auditor_verifies_everything_and_finds_what_the_program_finds(auditor: Database, node: Node) -> None:
    """The books of these tests have corrections that no person signed, so that some checks fail."""
    sealing.close_books(auditor, datetime.now(UTC))

    found = failing(auditor)

    assert "corrections_signed" in found
    assert found == failing(node.services.database)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO seal SELECT * FROM seal",
        "INSERT INTO change (id, subject, field, actor, changed_at) VALUES (gen_random_uuid(), 'a', 'b', 'c', now())",
        "UPDATE job SET state = 'failed'",
        "DELETE FROM step",
        "SELECT secret FROM hook",
        "SELECT lock_ledger()",
        "CREATE TABLE mine (id int)",
    ],
)
def test_an_auditor_can_do_no_more(auditor: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), auditor.transaction() as tx:
        tx.execute(text(statement))
