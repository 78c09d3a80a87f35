import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from tests.fixtures.databases import alembic_config

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
    assert names(database_url, TRIGGERS) == ["append_only", "books_closed"]
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
