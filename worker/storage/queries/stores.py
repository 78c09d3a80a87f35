"""Stores in the database: which one an account uses, and which files should be in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from worker.core.db.session import Database
from worker.core.rules.errors import STORE_UNAVAILABLE


@dataclass(frozen=True, kw_only=True)
class StoreRow:
    """What the database knows of an account's store."""

    account_id: UUID
    account: str
    identity: UUID | None
    """None: it has not been used yet, or only by a release that knew no identities."""
    place: str | None
    """Where it was when it was adopted."""
    failed_at: datetime | None


_READ = """
    SELECT id AS account_id, name AS account, store_id AS identity, store_place AS place, store_failed_at AS failed_at
    FROM account WHERE """


def read(tx: Connection, account_id: UUID) -> StoreRow:
    """Read what is known of the account's store."""
    return StoreRow(**tx.execute(text(f"{_READ} id = :id"), {"id": account_id}).mappings().one())


def of_account(tx: Connection, name: str) -> StoreRow | None:
    """Read what is known of the store of the account with that name; None when there is no such account."""
    row = tx.execute(text(f"{_READ} name = :name"), {"name": name}).mappings().one_or_none()
    return None if row is None else StoreRow(**row)


def adopt(tx: Connection, account_id: UUID, identity: UUID, *, before: UUID | None, place: str) -> bool:
    """Let this be the account's store; False when it is no longer the one that it was ``before``."""
    changed = tx.execute(
        text("""
            UPDATE account SET store_id = :identity, store_place = :place
            WHERE id = :id AND store_id IS NOT DISTINCT FROM :before"""),
        {"id": account_id, "identity": identity, "before": before, "place": place},
    )
    return changed.rowcount == 1


_KNOWN_FILES = text("""
    (SELECT r.path FROM result r JOIN generation g ON g.id = r.generation_id
     WHERE g.account_id = :id ORDER BY r.generation_id DESC LIMIT :limit)
    UNION ALL
    (SELECT 'references/' || u.reference_hash FROM upload u WHERE u.account_id = :id LIMIT :limit)""")


def known_files(tx: Connection, account_id: UUID, *, limit: int) -> list[str]:
    """Return the names of some of the newest images and of some references that the account's store must hold."""
    return list(tx.execute(_KNOWN_FILES, {"id": account_id, "limit": limit}).scalars())


def note_failure(tx: Connection, account_id: UUID, *, now: datetime) -> datetime:
    """Remember that the store fails, and return since when it has."""
    since: datetime = tx.execute(
        text("""
            UPDATE account SET store_failed_at = coalesce(store_failed_at, :now) WHERE id = :id
            RETURNING store_failed_at"""),
        {"id": account_id, "now": now},
    ).scalar_one()
    return since


def forget_failure(tx: Connection, account_id: UUID) -> None:
    """Remember that the store works."""
    tx.execute(text("UPDATE account SET store_failed_at = NULL WHERE id = :id"), {"id": account_id})


def wake(tx: Connection, account_id: UUID, *, now: datetime) -> int:
    """Let the steps that wait for the store be due, and return how many did."""
    woken = tx.execute(
        text("""
            UPDATE step SET due_at = :now WHERE job_id IN (
                SELECT job_id FROM step
                WHERE account_id = :id AND kind IN ('upload', 'collect') AND starts_with(error, :code) AND due_at > :now
                FOR UPDATE SKIP LOCKED)"""),
        {"id": account_id, "now": now, "code": STORE_UNAVAILABLE},
    )
    return woken.rowcount


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
    JOIN account a ON a.id = coalesce(j.account_id, b.account_id) WHERE a.name = :account"""
# A reference of another account's jobs may lie in another store.
_REFERENCES = """
    SELECT 'references/' || f.sha256 AS path, f.sha256, f.size_bytes, f.name AS whose, NULL::uuid AS store_id,
        f.sha256 AS id
    FROM reference f WHERE ((SELECT count(*) FROM account) = 1 OR EXISTS (
        SELECT FROM job j JOIN batch b ON b.id = j.batch_id
        JOIN account a ON a.id = coalesce(j.account_id, b.account_id)
        WHERE j.reference_hash = f.sha256 AND a.name = :account))"""
_ALL = f"SELECT path, sha256, size_bytes, whose, store_id FROM ({_RESULTS} UNION ALL {_REFERENCES}) known"
_COUNT = text(f"SELECT count(*) FROM ({_ALL}) counted")
_SAMPLE = text(f"{_ALL} ORDER BY random() LIMIT :limit")
_PAGES = (
    text(f"{_RESULTS} AND r.job_id > CAST(:last AS uuid) ORDER BY r.job_id LIMIT :limit"),
    text(f"{_REFERENCES} AND f.sha256 > :last ORDER BY f.sha256 LIMIT :limit"),
)
_FIRST = ("00000000-0000-0000-0000-000000000000", "")


def count_files(database: Database, account: str) -> int:
    """Count them."""
    with database.transaction() as tx:
        return int(tx.execute(_COUNT, {"account": account}).scalar_one())


def sample_files(database: Database, account: str, *, limit: int) -> list[StoredFile]:
    """Return some of them, by chance."""
    with database.transaction() as tx:
        rows = tx.execute(_SAMPLE, {"account": account, "limit": limit})
        return [StoredFile(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def every_file(database: Database, account: str) -> Iterator[StoredFile]:
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
