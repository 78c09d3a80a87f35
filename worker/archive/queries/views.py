"""Temporary tables and views under which a transaction's statements find archived rows beside those of the tables.

`pg_temp` comes first where a name is looked up, so that the statements stay as they are. All of it ends with the
transaction.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from worker.archive.rules.tables import TABLES, ArchivedTable, Column


def source_of(table: ArchivedTable) -> str:
    """Return the temporary table of rows that were read back."""
    return f"pg_temp.archived_{table.name}"


def make(tx: Connection, table: ArchivedTable) -> None:
    """Make the temporary table; a column that files do not have has its default there."""
    tx.execute(text("SELECT set_config('client_min_messages', 'warning', true)"))
    tx.execute(
        text(f"""
        CREATE TEMP TABLE archived_{table.name} (LIKE {schema_of(tx)}.{table.name} INCLUDING DEFAULTS)
        ON COMMIT DROP""")
    )


def fill(tx: Connection, table: ArchivedTable, names: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Copy rows into the temporary table."""
    listed = ", ".join(f'"{each.name}"' for each in names)
    driver: Any = tx.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {source_of(table)} ({listed}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def drop(tx: Connection, table: ArchivedTable) -> None:
    """Drop the temporary table."""
    tx.execute(text(f"DROP TABLE {source_of(table)}"))


def forget_live(tx: Connection, table: ArchivedTable) -> None:
    """Leave out rows that are still in the table: the removal of their batch was cut off."""
    schema = schema_of(tx)
    tx.execute(
        text(f"""
        DELETE FROM {source_of(table)} t USING {schema}.{table.name} l WHERE l.{table.key} = t.{table.key}""")
    )


def show(tx: Connection) -> None:
    """Create views that unite the temporary tables with the tables, under the tables' names."""
    schema = schema_of(tx)
    for table in TABLES:
        for column in table.indexes:
            tx.execute(text(f"CREATE INDEX ON {source_of(table)} ({column})"))
        tx.execute(text(f"ANALYZE {source_of(table)}"))
        tx.execute(
            text(f"""
            CREATE TEMP VIEW {table.name} AS SELECT * FROM {schema}.{table.name}
            UNION ALL SELECT * FROM {source_of(table)}""")
        )
    # The server remembers which table a prepared statement reads, and does not look for a view of that name that has
    # come since (Postgres, "PREPARE", notes): such a statement would find the rows of the tables alone.
    tx.execute(text("DISCARD PLANS"))


# What unique constraints hold in the tables holds across both, too.
_UNIQUE = (
    ("job", ("id",)),
    ("generation", ("id",)),
    ("generation", ("provider_id",)),
    ("generation", ("job_id", "number")),
    ("result", ("job_id",)),
    ("result", ("path",)),
    ("credit_entry", ("id",)),
    ("call", ("id",)),
)


def twice(tx: Connection) -> list[dict[str, Any]]:
    """Return archived rows whose unique values also occur in the tables."""
    schema = schema_of(tx)
    found = []
    for name, columns in _UNIQUE:
        same = " AND ".join(f"l.{column} = t.{column}" for column in columns)
        query = text(f"""
            SELECT '{name}' AS "table", concat_ws(', ', {", ".join(f"t.{column}" for column in columns)}) AS value
            FROM pg_temp.archived_{name} t JOIN {schema}.{name} l ON {same} LIMIT 10""")
        found += [dict(row) for row in tx.execute(query).mappings()]
    return found


_MISCOUNTED = """
    SELECT a.batch_id, a.jobs, a.entries, a.spent FROM archived_batch a
    LEFT JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(j.state, j.jobs), '{}') AS jobs FROM (
            SELECT state, count(*) AS jobs FROM job WHERE batch_id = a.batch_id GROUP BY state) j) j ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS entries,
            coalesce(sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits ELSE 0 END), 0)
                AS spent
        FROM credit_entry WHERE batch_id = a.batch_id) e ON true
    WHERE a.jobs <> j.jobs OR a.entries <> e.entries OR a.spent <> e.spent ORDER BY a.batch_id LIMIT 10"""


def miscounted(tx: Connection) -> list[dict[str, Any]]:
    """Return archived batches whose recorded totals differ from their rows; the rows have been read back."""
    return [dict(row) for row in tx.execute(text(_MISCOUNTED)).mappings()]


def schema_of(tx: Connection) -> str:
    """Return the quoted name of the schema that has the tables."""
    found: str = tx.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    return found
