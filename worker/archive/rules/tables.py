"""The tables whose rows are archived, the files that hold them, and which batches a reader needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

JOBS_PER_PART = 25_000
"""Jobs of a batch that share one set of files; some 75,000 entries and 100,000 calls belong to them."""


@dataclass(frozen=True, kw_only=True)
class ArchivedTable:
    """A table whose rows belong to jobs."""

    name: str
    key: str
    """The column that orders its rows and tells them apart."""
    path: str
    """The SQL of the way from a row ``t`` to its job ``j``; empty: the row is the job."""
    indexes: tuple[str, ...]
    """The columns by which readers find rows that were read back."""


_BY_GENERATION = "JOIN generation g ON g.id = t.generation_id JOIN job j ON j.id = g.job_id"
TABLES = (
    ArchivedTable(name="job", key="id", path="", indexes=("id", "batch_id")),
    ArchivedTable(
        name="generation",
        key="id",
        path="JOIN job j ON j.id = t.job_id",
        indexes=("id", "job_id", "batch_id", "provider_id"),
    ),
    ArchivedTable(
        name="result", key="job_id", path="JOIN job j ON j.id = t.job_id", indexes=("job_id", "generation_id")
    ),
    ArchivedTable(
        name="credit_entry", key="id", path=_BY_GENERATION, indexes=("id", "batch_id", "generation_id", "posted_at")
    ),
    ArchivedTable(name="call", key="id", path=_BY_GENERATION, indexes=("id", "generation_id", "recorded_at")),
    ArchivedTable(name="generation_reading", key="id", path=_BY_GENERATION, indexes=("id", "generation_id", "read_at")),
)
"""In the order in which their rows refer to each other."""
BY_NAME = {table.name: table for table in TABLES}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of an archived table, with its type as Postgres names it."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class ArchivedFile:
    """One file of the store: the rows of one table that belong to one part of a batch's jobs."""

    batch_id: UUID
    part: int
    name: str
    """The table."""
    path: str
    sha256: str
    size_bytes: int
    rows: int
    rows_sha256: str
    """Over the rows as the database writes them, whatever the file's format."""
    first_job_id: UUID
    last_job_id: UUID


def folder_of(batch_id: UUID) -> str:
    """Return the folder of the store in which a batch's files lie."""
    return f"archive/{batch_id}/"


def path_of(batch_id: UUID, part: int, name: str, sha256: str) -> str:
    """Return where a file lies in the store; other content has another name."""
    return f"{folder_of(batch_id)}{part:04d}-{name}-{sha256[:32]}.parquet"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Which archived batches a report reads; None: no limit of that kind."""

    owner: str | None = None
    batch_id: UUID | None = None
    job_id: UUID | None = None
    after_entry: int | None = None
    """Only those with an entry behind this id: all before is known from sums."""
    after: datetime | None = None
    """Only those with an entry that was posted after this instant."""


class ArchivedRows(Protocol):
    """Reads archived rows back, so that the statements of a transaction find them in their tables."""

    def load(self, tx: Any, batch_ids: Sequence[UUID], /) -> None:
        """Make the rows of these batches visible to the transaction's statements; raise a fault of their files."""
        ...

    def prove(self, tx: Any, batch_ids: Sequence[UUID], /) -> list[Mapping[str, Any]]:
        """Load the files that are intact, and return what is wrong with the others."""
        ...
