"""What the application may not do, whatever its code says: change or delete what is written once."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from tests.fixtures.databases import alembic_config
from tests.pipeline.node import Node
from worker.audit.verify import verify
from worker.core.db.session import Database

WRITTEN_ONCE = {
    "credit_entry": "credits",
    "seal": "hash",
    "seal_fact": "hash",
    "ledger_rollup": "credits",
    "change": "actor",
    "wallet_reading": "credits",
    "call": "outcome",
    "generation_reading": "final",
    "catalog_rejection": "reason",
}
"""The tables, and of each a column that may be tempting to change."""
LOGIN = f"darkroom_test_login_{os.getpid()}"

LoginTo = Callable[[str], Database]


@pytest.fixture
def login_to(postgres: str) -> Iterator[LoginTo]:
    """Connect as a plain user of this test's own, who may make neither roles nor databases.

    Ask for it before the database, which must be gone before its user.
    """
    server = Database(postgres).engine.execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as admin, ExitStack() as stack:
        admin.execute(text("RESET ROLE"))
        admin.execute(text(f"CREATE ROLE {LOGIN} LOGIN PASSWORD 'only here'"))
        stack.callback(admin.execute, text(f"DROP ROLE {LOGIN}"))

        def connect(url: str) -> Database:
            opened = Database(
                make_url(url).set(username=LOGIN, password="only here").render_as_string(hide_password=False)
            )
            stack.callback(opened.close)
            return opened

        yield connect


def own(url: str, statement: str) -> None:
    """Do one statement as the server's administrator."""
    engine = Database(url).engine
    with engine.begin() as tx:
        tx.execute(text("RESET ROLE"))
        tx.execute(text(statement))
    engine.dispose()


def rights(database: Database) -> tuple[str, int]:
    """Return the role that a connection works as, and how many rights it has too many."""
    with database.transaction() as tx:
        found = verify(tx)
    with database.transaction() as tx:
        role: str = tx.execute(text("SELECT current_user")).scalar_one()
    return role, next(check.broken for check in found.checks if check.name == "rights")


@pytest.mark.parametrize("table", WRITTEN_ONCE)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_application_has_no_right_to_change_what_is_written_once(
    change: str, table: str, database: Database
) -> None:
    column = WRITTEN_ONCE[table]

    with pytest.raises(ProgrammingError, match="permission denied"), database.transaction() as tx:
        tx.execute(text(change.format(table, column, column)))


@pytest.mark.parametrize(
    "way_around",
    [
        "ALTER TABLE credit_entry DISABLE TRIGGER append_only",
        "ALTER TABLE credit_entry DISABLE TRIGGER ALL",
        "DROP TABLE credit_entry CASCADE",
        "DROP FUNCTION refuse_change() CASCADE",
        "SET session_replication_role = replica",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_the_application_cannot_give_itself_the_right(way_around: str, database: Database) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), database.transaction() as tx:
        tx.execute(text(way_around))


def test_the_application_does_all_its_work_without_that_right(node: Node) -> None:
    with node.services.database.transaction() as tx:
        tx.execute(text("CREATE TEMP TABLE scratch (id int) ON COMMIT DROP"))

    assert rights(node.services.database) == ("darkroom_app", 0)


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE"])
def test_a_right_too_many_is_found_and_named(right: str, database: Database, owner: Engine) -> None:
    with owner.begin() as tx:
        tx.execute(text(f"GRANT {right} ON credit_entry TO darkroom_app"))

    with database.transaction() as tx:
        check = next(check for check in verify(tx).checks if check.name == "rights")

    assert [(e["table"], e["right"], e["role"]) for e in check.examples] == [("credit_entry", right, "darkroom_app")]


def test_a_schema_in_which_everybody_may_create_is_found_with_the_statement_that_cures_it(
    database: Database, owner: Engine
) -> None:
    """So it is up to Postgres 14, and in databases that were upgraded from there."""
    with owner.begin() as tx:
        tx.execute(text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    with database.transaction() as tx:
        check = next(check for check in verify(tx).checks if check.name == "rights")

    with owner.begin() as tx:
        tx.execute(text(check.examples[0]["next_step"].removeprefix("as an administrator: ")))

    assert [(e["right"], e["role"]) for e in check.examples] == [("CREATE", "darkroom_app")]
    assert rights(database) == ("darkroom_app", 0)


def test_the_rights_can_be_put_right_at_any_time(database: Database, owner: Engine) -> None:
    with owner.begin() as tx:
        tx.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO darkroom_app"))
        tx.execute(text("SELECT grant_application_rights()"))

    assert rights(database) == ("darkroom_app", 0)


def test_a_table_of_a_later_migration_can_be_used_at_once(database: Database, owner: Engine) -> None:
    with owner.begin() as tx:
        tx.execute(text("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, word text)"))

    with database.transaction() as tx:
        written = tx.execute(text("INSERT INTO later (word) VALUES ('x') RETURNING id")).scalar()

    assert written == 1


def test_a_user_who_is_a_member_works_as_the_application(login_to: LoginTo, database_url: str) -> None:
    own(database_url, f"GRANT darkroom_app TO {LOGIN}")

    assert rights(login_to(database_url)) == ("darkroom_app", 0)


def test_a_user_with_too_many_rights_who_is_no_member_is_found(login_to: LoginTo, database_url: str) -> None:
    own(database_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {LOGIN}")

    role, too_many = rights(login_to(database_url))

    assert role == LOGIN
    assert too_many >= 3 * len(WRITTEN_ONCE)


def test_a_user_who_may_make_no_role_can_migrate_up_and_down(login_to: LoginTo, empty_database_url: str) -> None:
    own(empty_database_url, f"GRANT CREATE, USAGE ON SCHEMA public TO {LOGIN}")
    database = login_to(empty_database_url)
    config = alembic_config(database.url.render_as_string(hide_password=False))

    command.upgrade(config, "head")
    command.check(config)
    command.downgrade(config, "base")

    with database.transaction() as tx:
        assert tx.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar() == 1
