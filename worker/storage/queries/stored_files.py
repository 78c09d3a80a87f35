"""Everything that the store of an account must hold, a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from worker.core.db.session import Database

PAGE = 1_000
"""Files that are read at once; each page is a short transaction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file as it was when it was recorded; ``whose`` names it for a person."""

    path: str
    sha256: str
    size_bytes: int
    whose: str
    store_id: UUID | None = None
    """Identity of the store that it was put into; None: unknown."""


_RESULTS = """
    SELECT r.path, r.sha256, r.size_bytes, j.batch_id || ' ' || j.key AS whose, r.store_id, r.job_id::text AS id
    FROM result r JOIN job j ON j.id = r.job_id JOIN batch b ON b.id = j.batch_id
    JOIN account a ON a.id = b.account_id WHERE a.name = :account"""

# A reference of another account's jobs may lie in another store.
_REFERENCES = """
    SELECT 'references/' || f.sha256 AS path, f.sha256, f.size_bytes, f.name AS whose, NULL::uuid AS store_id,
        f.sha256 AS id
    FROM reference f WHERE ((SELECT count(*) FROM account) = 1 OR EXISTS (
        SELECT FROM job j JOIN batch b ON b.id = j.batch_id JOIN account a ON a.id = b.account_id
        WHERE j.reference_hash = f.sha256 AND a.name = :account))"""
_ALL = f"SELECT path, sha256, size_bytes, whose, store_id FROM ({_RESULTS} UNION ALL {_REFERENCES}) known"
_COUNT = text(f"SELECT count(*) FROM ({_ALL}) counted")
_SAMPLE = text(f"{_ALL} ORDER BY random() LIMIT :limit")
_PAGES = (
    text(f"{_RESULTS} AND r.job_id > CAST(:last AS uuid) ORDER BY r.job_id LIMIT :limit"),
    text(f"{_REFERENCES} AND f.sha256 > :last ORDER BY f.sha256 LIMIT :limit"),
)
_FIRST = ("00000000-0000-0000-0000-000000000000", "")


def count(database: Database, account: str) -> int:
    """Count them."""
    with database.transaction() as tx:
        return int(tx.execute(_COUNT, {"account": account}).scalar_one())


def sample(database: Database, account: str, *, limit: int) -> list[StoredFile]:
    """Return some of them, by chance."""
    with database.transaction() as tx:
        rows = tx.execute(_SAMPLE, {"account": account, "limit": limit})
        return [StoredFile(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def every(database: Database, account: str) -> Iterator[StoredFile]:
    """Yield all of them, results first."""
    for query, first in zip(_PAGES, _FIRST, strict=True):
        yield from _paged(database, query, account, first)


def _paged(database: Database, query: TextClause, account: str, last: str) -> Iterator[StoredFile]:
    while True:
        with database.transaction() as tx:
            rows: list[Any] = list(tx.execute(query, {"account": account, "last": last, "limit": PAGE}))
        for row in rows:
            yield StoredFile(
                path=row.path, sha256=row.sha256, size_bytes=row.size_bytes, whose=row.whose, store_id=row.store_id
            )
        if len(rows) < PAGE:
            return
        last = rows[-1].id
