"""The application's role may change exactly what the program's statements change, and an auditor's nothing."""

from collections import defaultdict

from sqlalchemy import Engine, text

from tests.fixtures.statement_rights import columns_set, tables_deleted_from, tables_inserted_into
from worker.core.db.rights import DELETED, UPDATED

COPIED_INTO = {"job"}
"""Rows that are not inserted but written with COPY."""


def granted(owner: Engine, role: str, right: str) -> set[str]:
    """Return the tables on which the role has the right."""
    with owner.connect() as tx:
        found = tx.execute(
            text("""
                SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                AND (has_table_privilege(:role, oid, :right)
                    OR (:right = 'INSERT' AND has_any_column_privilege(:role, oid, 'INSERT')))"""),
            {"role": role, "right": right},
        )
        return set(found.scalars())


def updatable(owner: Engine, role: str) -> dict[str, set[str]]:
    """Return, by table, the columns that the role may set."""
    found = defaultdict(set)
    with owner.connect() as tx:
        rows = tx.execute(
            text("""
                SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                AND NOT a.attisdropped AND has_column_privilege(:role, c.oid, a.attnum, 'UPDATE')"""),
            {"role": role},
        )
        for table, column in rows:
            found[table].add(column)
    return dict(found)


def test_the_application_may_set_the_columns_that_a_statement_sets_and_no_other(owner: Engine) -> None:
    assert updatable(owner, "darkroom_app") == columns_set()


def test_the_application_may_delete_where_a_statement_deletes_and_nowhere_else(owner: Engine) -> None:
    assert granted(owner, "darkroom_app", "DELETE") == tables_deleted_from()


def test_the_application_may_insert_where_a_statement_inserts_and_nowhere_else(owner: Engine) -> None:
    assert granted(owner, "darkroom_app", "INSERT") == tables_inserted_into() | COPIED_INTO


def test_verify_holds_the_rights_against_the_same_list() -> None:
    assert {table: set(columns.split(", ")) for table, columns in UPDATED.items()} == columns_set()
    assert set(DELETED) == tables_deleted_from()


def test_an_auditor_may_change_nothing_and_read_all_but_secrets(owner: Engine) -> None:
    with owner.connect() as tx:
        unread = tx.execute(
            text("""
                SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                AND NOT a.attisdropped AND NOT has_column_privilege('darkroom_audit', c.oid, a.attnum, 'SELECT')""")
        ).scalars()

        assert set(unread) == {"hook.secret", "webhook_endpoint.secret"}
    assert updatable(owner, "darkroom_audit") == {}
    assert [granted(owner, "darkroom_audit", right) for right in ("INSERT", "DELETE", "TRUNCATE")] == [set()] * 3
