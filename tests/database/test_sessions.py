"""Sessions that the server ends, that only read, or that a pooler gives to others."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from tests.fixtures import pgbouncer
from worker.core.db import session
from worker.core.db.session import Database


def run(database: Database, statement: str) -> object:
    with database.transaction() as tx:
        found = tx.execute(text(statement))
        return found.scalar() if found.returns_rows else None


def write(database: Database) -> None:
    run(database, "INSERT INTO owner_month (owner, month, committed) VALUES (gen_random_uuid()::text, '2026-11-01', 0)")


def test_a_server_that_only_reads_is_left_as_soon_as_it_takes_writes_elsewhere(database: Database) -> None:
    """A failover turns the primary into a standby under its open sessions."""
    with database.engine.connect() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
        connection.commit()

    with pytest.raises(DBAPIError) as caught:
        write(database)

    assert caught.value.connection_invalidated
    write(database)


@pytest.mark.usefixtures("database")
def test_a_session_that_the_server_ended_for_resting_costs_no_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "RESTED_S", 0.0)
    pid = run(database, "SELECT pg_backend_pid()")
    other = Database(database.url.render_as_string(hide_password=False), connections=1)
    with other.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.close()

    assert run(database, "SELECT pg_backend_pid()") != pid


def test_a_server_that_says_nothing_is_given_up(database: Database) -> None:
    hasty = Database(database.url.render_as_string(hide_password=False), connections=1, answer_s=1.0)
    run(hasty, "SELECT 1")

    with pytest.raises(DBAPIError) as caught:
        run(hasty, "SET statement_timeout = 0; SELECT pg_sleep(60)")

    assert "did not answer within 1 s" in str(caught.value.orig)
    assert caught.value.connection_invalidated
    assert run(hasty, "SELECT 1") == 1
    hasty.close()


@pytest.mark.parametrize(
    ("name", "preferred"),
    [
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_isolation", "repeatable read"),
        ("datestyle", "German, DMY"),
        ("intervalstyle", "sql_standard"),
    ],
)
def test_what_a_database_prefers_for_its_sessions_changes_nothing(
    database: Database, owner: Engine, name: str, preferred: str
) -> None:
    with owner.begin() as tx:
        tx.execute(text(f"ALTER DATABASE {database.url.database} SET {name} = '{preferred}'"))

    with database.transaction() as tx:
        seen = tx.execute(
            text("SELECT current_setting('transaction_isolation'), CAST('2026-11-28 12:00Z' AS timestamptz), :span"),
            {"span": timedelta(days=1, hours=2)},
        ).one()

    assert tuple(seen) == ("read committed", datetime(2026, 11, 28, 12, tzinfo=UTC), timedelta(days=1, hours=2))


def test_no_query_is_compiled_whatever_the_database_prefers(database: Database, owner: Engine) -> None:
    with owner.begin() as tx:
        tx.execute(text(f"ALTER DATABASE {database.url.database} SET jit = 'on'"))

    assert run(database, "SELECT current_setting('jit')") == "off"


@pytest.fixture(params=["session", "transaction"])
def pooled(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    """Yield a database behind PgBouncer, in each of its modes."""
    pgbouncer.required()
    with (
        tempfile.TemporaryDirectory(prefix="darkroom-pgbouncer-") as folder,
        pgbouncer.before(database_url, mode=request.param, folder=Path(folder)) as url,
    ):
        opened = Database(url, connections=8)
        yield opened
        opened.close()


def test_a_pooler_is_noticed(pooled: Database, database: Database) -> None:
    run(pooled, "SELECT 1")
    run(database, "SELECT 1")

    assert (pooled.has_pooler, database.has_pooler) == (True, False)


def test_behind_a_pooler_each_statement_gets_its_own_values(pooled: Database) -> None:
    """Prepared statements of different clients have the same names in the sessions that they share."""

    def ask(n: int) -> int:
        with pooled.transaction() as tx:
            found: int = tx.execute(text(f"SELECT CAST(:n AS int) * {n % 5 + 1}"), {"n": n}).scalar_one()
            return found

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(400)))

    assert found == [n * (n % 5 + 1) for n in range(400)]


def test_behind_a_pooler_rights_and_limits_hold_in_each_transaction_and_stay_with_none(pooled: Database) -> None:
    def seen(_: int) -> tuple[object, ...]:
        with pooled.transaction() as tx:
            return tuple(
                tx.execute(
                    text("SELECT current_user::text, current_setting('statement_timeout'), current_setting('TimeZone')")
                ).one()
            )

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(seen, range(100)))
    with pooled.engine.connect() as bare:
        left = bare.execute(text("SELECT current_user::text")).scalar_one()

    assert found == {("darkroom_app", "1min", "UTC")}
    assert left != "darkroom_app"
