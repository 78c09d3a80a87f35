"""Nodes and migrations of different versions: what cannot work together is refused before anything is written."""

import re
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from uuid_utils.compat import uuid7

from migrations import contract
from tests.acceptance.nodes import ROOT
from worker.core.db import schema
from worker.core.db.schema import WrongSchema
from worker.core.db.session import Database
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat

CONTRACTS = re.compile(
    r"DROP (TABLE|COLUMN|FUNCTION)|RENAME |SET NOT NULL|ALTER COLUMN \w+ (SET DATA )?TYPE|ADD CONSTRAINT", re.IGNORECASE
)
SINCE = "0061"
"""From this migration on nodes say which one they know."""
REVISIONS = [each.revision for each in ScriptDirectory.from_config(schema.config()).walk_revisions()]
"""From the newest on."""


def beat(database: Database, knows: str | None) -> None:
    said = Beat(node_id=uuid7(), name="old:1", version="0.1.0", round_age_s=0, clock_offset_s=0, knows=knows)
    with database.transaction() as tx:
        nodes.beat(tx, said)


def contracted(tx: Connection) -> None:
    with Operations.context(MigrationContext.configure(tx)):
        contract.require("0061")


@pytest.mark.parametrize("knows", [None, "0057"])
def test_a_migration_that_takes_something_away_is_refused_while_an_older_node_is_alive(
    database: Database, knows: str | None
) -> None:
    beat(database, knows)

    with create_engine(database.url).begin() as tx, pytest.raises(DBAPIError, match=r"are alive: old:1 \(0.1.0\)"):
        contracted(tx)


@pytest.mark.parametrize("knows", ["0061", "a newer one"])
def test_it_goes_on_beside_nodes_that_know_it(database: Database, knows: str) -> None:
    beat(database, knows)

    with create_engine(database.url).begin() as tx:
        contracted(tx)


def test_it_waits_for_no_node_that_is_gone(database: Database) -> None:
    beat(database, None)
    with create_engine(database.url).begin() as tx:
        tx.execute(text("UPDATE node SET seen_at = seen_at - interval '1 minute'"))

        contracted(tx)


def upgrades() -> list[tuple[str, str]]:
    later = REVISIONS[: REVISIONS.index(SINCE)]
    files = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    return [(each.stem, _up(each)) for each in files if each.stem[:4] in later]


def _up(file: Path) -> str:
    way_down = r'_DOWN = """.*?"""|def downgrade.*?(?=\ndef |\Z)'
    return re.sub(way_down, "", file.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_each_migration_that_takes_something_away_waits_for_old_nodes() -> None:
    assert [name for name, up in upgrades() if CONTRACTS.search(up) and "contract.require" not in up] == []


def test_a_node_works_with_the_tables_that_it_was_written_for(database: Database) -> None:
    with database.transaction() as tx:
        schema.check(tx)


@pytest.mark.parametrize(
    ("version", "words"),
    [("9999", "is at 9999, and this version of Darkroom knows"), ("0057", "is needed: run `darkroom migrate`")],
)
def test_a_node_refuses_tables_of_another_version(database: Database, version: str, words: str) -> None:
    with create_engine(database.url).begin() as owner:
        owner.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})

    with database.transaction() as tx, pytest.raises(WrongSchema, match=words):
        schema.check(tx)


def test_a_node_refuses_a_database_without_tables(empty_database_url: str) -> None:
    with create_engine(empty_database_url).connect() as tx, pytest.raises(WrongSchema, match="is at nothing"):
        schema.check(tx)
