"""Rows of archived tables as they are read for a file, and the digest that proves them against one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.rules.tables import ArchivedTable, Column

_PAGE = 5_000
_COLUMNS = text("""
    SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = :name AND a.attnum > 0
        AND NOT a.attisdropped ORDER BY a.attnum""")


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many jobs of a batch that follow each other by id."""

    batch_id: UUID
    first: UUID
    last: UUID

    def values(self) -> dict[str, Any]:
        """Return the values of a query."""
        return {"batch_id": self.batch_id, "first": self.first, "last": self.last}


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The number of rows, and the SHA-256 over the rows' hashes in the order of their keys."""

    rows: int
    sha256: str


def columns(tx: Connection, table: str) -> tuple[Column, ...]:
    """Return the columns of a table in their order."""
    return tuple(Column(name=row.name, type=row.type) for row in tx.execute(_COLUMNS, {"name": table}))


_NEXT = text("""
    SELECT id FROM job WHERE batch_id = :batch_id AND id > :after ORDER BY id LIMIT :jobs""")


def next_part(tx: Connection, batch_id: UUID, *, after: UUID, jobs: int) -> Part | None:
    """Return the next jobs of the batch; None when there are no more."""
    ids = tx.execute(_NEXT, {"batch_id": batch_id, "after": after, "jobs": jobs}).scalars().all()
    return Part(batch_id=batch_id, first=ids[0], last=ids[-1]) if ids else None


def read(tx: Connection, table: ArchivedTable, part: Part, names: Sequence[Column]) -> Iterator[Sequence[Any]]:
    """Yield the rows of the part in the order of their keys; JSON as the text that Postgres writes."""
    chosen = ", ".join(f't."{each.name}"::text' if each.type == "jsonb" else f't."{each.name}"' for each in names)
    query = text(f"SELECT {chosen} FROM {_rows(table)} ORDER BY t.{table.key}")
    # For this statement alone: others of the transaction cannot be read through a cursor.
    yield from tx.execute(query, part.values(), execution_options={"yield_per": _PAGE})


def digest(tx: Connection, table: ArchivedTable, part: Part, names: Sequence[Column]) -> Digest:
    """Return the digest of the part's rows as they are in the table."""
    return _digest(tx, table, names, _rows(table), part.values())


def digest_of(tx: Connection, table: ArchivedTable, names: Sequence[Column], source: str) -> Digest:
    """Return the digest of all rows of another table of the same columns, which ``source`` names."""
    return _digest(tx, table, names, f"{source} t", {})


def _digest(
    tx: Connection, table: ArchivedTable, names: Sequence[Column], rows: str, values: Mapping[str, Any]
) -> Digest:
    # A row is written as Postgres writes a composite value, as the seals of facts have it.
    listed = ", ".join(f't."{each.name}"' for each in names)
    query = text(f"""
        SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(sha256(convert_to(f.line, 'UTF8')), ''
            ORDER BY f.key), '')), 'hex') AS sha256
        FROM (SELECT t.{table.key} AS key, ROW({listed})::text AS line FROM {rows}) f""")
    row = tx.execute(query, values).one()
    return Digest(rows=row.rows, sha256=row.sha256)


def _rows(table: ArchivedTable) -> str:
    job = "j" if table.path else "t"
    return f"""
        {table.name} t {table.path} WHERE {job}.batch_id = :batch_id AND {job}.id BETWEEN :first AND :last"""
