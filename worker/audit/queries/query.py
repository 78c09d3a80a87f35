"""A query of a report: its text and its values are part of the report's evidence."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

Value = str | int | datetime | date | UUID | None
_PAGE = 10_000


@dataclass(frozen=True, kw_only=True)
class Query:
    """One SELECT; the same text and values over the same entries give the same rows."""

    name: str
    sql: str
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The hash of the text, by which a later change of the query is seen."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def rows(self, tx: Connection) -> Sequence[Row[Any]]:
        """Return all rows."""
        return tx.execute(text(self.sql), self.values).all()

    def stream(self, tx: Connection) -> Iterator[Row[Any]]:
        """Yield the rows one after the other, a page in memory at a time."""
        yield from tx.execution_options(yield_per=_PAGE).execute(text(self.sql), self.values)
