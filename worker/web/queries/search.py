"""Search over all jobs: by id, key, SKU, line and error, each newest first and a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from worker.audit.queries import journal


class Kind(StrEnum):
    """The field that a search compares."""

    ID = "id"
    """Of a job or generation, the provider's id, or an idempotency key."""
    KEY = "key"
    """The beginning of a job's key."""
    SKU = "sku"
    """The beginning of an item's SKU in a catalog."""
    LINE = "line"
    """The number of a line."""
    ERROR = "error"
    """The code of a failure, else a part of its words."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One job that was found."""

    id: UUID
    batch_id: UUID
    batch: str
    line: int
    key: str
    state: str
    failure_code: str | None
    created_at: datetime


_COLUMNS = "j.id, j.batch_id, b.name AS batch, j.line, j.key, j.state, j.failure_code, j.created_at"
_LAST = UUID(int=2**128 - 1)
"""Above every id: where the first page begins."""
_AFTER = "j.id < :after"
_ORDER = "ORDER BY j.id DESC LIMIT :limit"
_OF_ID = text(f"SELECT {_COLUMNS} FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.id = :id")
# LIKE with a constant beginning is a range of the index of keys.
_OF_KEY = text(f"""
    SELECT {_COLUMNS} FROM job j JOIN batch b ON b.id = j.batch_id
    WHERE j.key LIKE :prefix AND {_AFTER} {_ORDER}""")
_OF_SKU = text(f"""
    SELECT {_COLUMNS} FROM catalog_item i JOIN catalog_render r ON r.item_id = i.id JOIN job j ON j.id = r.job_id
    JOIN batch b ON b.id = j.batch_id
    WHERE i.sku LIKE :prefix AND {_AFTER} {_ORDER}""")
# Looks into one batch after the other, newest first, until the page is full: few batches lack a line that most have.
_OF_LINE = text(f"""
    SELECT {_COLUMNS} FROM batch b CROSS JOIN LATERAL (SELECT * FROM job WHERE batch_id = b.id AND line = :line) j
    WHERE b.id <= :batch_id AND (b.id < :batch_id OR {_AFTER}) ORDER BY b.id DESC, j.id DESC LIMIT :limit""")
_BATCH_OF = text("SELECT batch_id FROM job WHERE id = :id")
# Jobs that failed or are in doubt are few and have indexes of their own, by code and by age; words are compared from
# the newest on, until the page is full.
_IS_FAULTY = "j.state IN ('failed', 'in_doubt')"
_IS_CODE = text(f"SELECT true FROM job j WHERE {_IS_FAULTY} AND j.failure_code = :words LIMIT 1")
_OF_CODE = text(f"""
    SELECT {_COLUMNS} FROM job j JOIN batch b ON b.id = j.batch_id
    WHERE {_IS_FAULTY} AND j.failure_code = :words AND {_AFTER} {_ORDER}""")
_OF_WORDS = text(f"""
    SELECT {_COLUMNS} FROM job j JOIN batch b ON b.id = j.batch_id
    WHERE {_IS_FAULTY} AND strpos(lower(j.failure_message), lower(:words)) > 0 AND {_AFTER} {_ORDER}""")
_LARGEST = 2**31 - 1


def find(tx: Connection, kind: Kind, words: str, *, after: UUID | None, limit: int) -> Sequence[Hit]:
    """Return the jobs of one kind of search after a place, newest first."""
    if kind is Kind.ID:
        job_id = None if after is not None else journal.find_job(tx, words)
        return [] if job_id is None else _hits(tx, _OF_ID, {"id": job_id})
    values = {"after": after or _LAST, "limit": limit}
    return _SEARCHES[kind](tx, words, values)


def _by_key(tx: Connection, words: str, values: dict[str, Any]) -> Sequence[Hit]:
    return _hits(tx, _OF_KEY, {**values, "prefix": _prefix(words)})


def _by_sku(tx: Connection, words: str, values: dict[str, Any]) -> Sequence[Hit]:
    return _hits(tx, _OF_SKU, {**values, "prefix": _prefix(words)})


def _by_line(tx: Connection, words: str, values: dict[str, Any]) -> Sequence[Hit]:
    digits = words.lower().removeprefix("line").strip(" :")
    if not (digits.isascii() and digits.isdigit() and int(digits) <= _LARGEST):
        return []
    batch_id = tx.execute(_BATCH_OF, {"id": values["after"]}).scalar() or _LAST
    return _hits(tx, _OF_LINE, {**values, "line": int(digits), "batch_id": batch_id})


def _by_error(tx: Connection, words: str, values: dict[str, Any]) -> Sequence[Hit]:
    is_code = tx.execute(_IS_CODE, {"words": words}).scalar()
    return _hits(tx, _OF_CODE if is_code else _OF_WORDS, {**values, "words": words})


_SEARCHES: dict[Kind, Callable[[Connection, str, dict[str, Any]], Sequence[Hit]]] = {
    Kind.KEY: _by_key,
    Kind.SKU: _by_sku,
    Kind.LINE: _by_line,
    Kind.ERROR: _by_error,
}


def _prefix(words: str) -> str:
    for each in ("\\", "%", "_"):
        words = words.replace(each, f"\\{each}")
    return f"{words}%"


def _hits(tx: Connection, statement: TextClause, values: dict[str, Any]) -> Sequence[Hit]:
    return [Hit(**row) for row in tx.execute(statement, values).mappings()]


_LIMIT = text("SELECT set_config('statement_timeout', :milliseconds, true)")


def limit_time(tx: Connection, milliseconds: int) -> None:
    """Have the server end statements of this transaction that take longer."""
    tx.execute(_LIMIT, {"milliseconds": str(milliseconds)})
