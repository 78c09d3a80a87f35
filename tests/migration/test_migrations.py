import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from tests.fixtures.databases import alembic_config
from worker.cli.errors import CliError
from worker.cli.local import migrate

TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'credit_entry'::regclass AND NOT tgisinternal ORDER BY 1"
REVISIONS = [s.revision for s in ScriptDirectory.from_config(alembic_config("")).walk_revisions()]
FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"


def tables(url: str) -> set[str]:
    with create_engine(url).connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def names(url: str, query: str) -> list[str]:
    with create_engine(url).connect() as connection:
        return list(connection.execute(text(query)).scalars())


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    command.check(alembic_config(database_url))


def test_there_is_one_newest_migration() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("")).get_heads()) == 1


def test_the_way_down_leaves_nothing(database_url: str) -> None:
    command.downgrade(alembic_config(database_url), "base")

    assert tables(database_url) == set()
    assert names(database_url, FUNCTIONS) == []


def test_the_way_down_and_up_again_gives_the_same(database_url: str) -> None:
    before = tables(database_url)

    command.downgrade(alembic_config(database_url), "base")
    command.upgrade(alembic_config(database_url), "head")

    assert tables(database_url) == before
    assert names(database_url, TRIGGERS) == ["append_only", "archived_only", "books_closed"]
    command.check(alembic_config(database_url))


def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    command.upgrade(alembic_config(database_url), "head")

    command.check(alembic_config(database_url))


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_migration_can_be_taken_back(revision: str, empty_database_url: str) -> None:
    config = alembic_config(empty_database_url)
    command.upgrade(config, revision)

    command.downgrade(config, "-1")
    command.upgrade(config, "head")

    command.check(config)


def test_a_database_of_the_migrations_that_the_baseline_replaces_goes_on_from_it() -> None:
    assert REVISIONS[-1] == "0044"


@pytest.mark.parametrize("version", ["0039", "9999"])
def test_a_database_of_an_unknown_version_is_refused_with_what_to_do(database_url: str, version: str) -> None:
    with create_engine(database_url).begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})

    with pytest.raises(CliError, match=f"at version '{version}', which this version of Darkroom does not know"):
        migrate.upgrade(database_url)


def test_the_schema_can_be_printed_for_an_administrator_who_runs_it_by_hand(
    database_url: str, empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.upgrade(alembic_config(empty_database_url), "head", sql=True)
    script = capsys.readouterr().out.replace("%", "%%")

    with create_engine(empty_database_url).begin() as tx:
        tx.exec_driver_sql(script)

    assert tables(empty_database_url) == tables(database_url)
    command.check(alembic_config(empty_database_url))


def test_a_new_schema_belongs_to_the_owners_role_where_there_is_one(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text("CREATE ROLE darkroom_owner"))
        admin.execute(text("GRANT CREATE, USAGE ON SCHEMA public TO darkroom_owner"))
    try:
        command.upgrade(alembic_config(empty_database_url), "head")

        owners = names(empty_database_url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    finally:
        with engine.connect() as admin:
            admin.execute(text("DROP OWNED BY darkroom_owner CASCADE"))
            admin.execute(text("DROP ROLE darkroom_owner"))
        engine.dispose()
    assert owners == ["darkroom_owner"]
