"""What a report is, before anybody decides how it looks: sections of rows, their totals, and where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from worker.audit.queries.query import Query

ALL_DAYS = "all entries up to the instant"
"""The note of a section that no first and last day limit."""

Cell = str | int | datetime | date | UUID | None


class Kind(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    CREDITS = "credits"
    """A number of credits; control totals are made of these."""
    COUNT = "count"
    """A number of things, or of seconds."""
    INSTANT = "instant"
    """UTC, to the microsecond."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A name, and what the cells below it are."""

    name: str
    kind: Kind = Kind.TEXT
    is_detail: bool = False
    """Left out of a table for reading when no row has anything but 0 or nothing there."""

    @property
    def is_number(self) -> bool:
        """Whether its cells are integers."""
        return self.kind in {Kind.CREDITS, Kind.COUNT}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table of a report."""

    name: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    totals: tuple[Cell, ...] | None = None
    """One cell per column; None: the section has nothing to add up."""
    note: str | None = None
    """What it covers, where that is not what the parameters say."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was asked, and the answer; the same question as of the same instant has the same answer for ever."""

    name: str
    title: str
    as_of: datetime
    parameters: Mapping[str, str | int | None]
    sections: tuple[Section, ...]
    queries: tuple[Query, ...] = field(default=())

    @property
    def row_count(self) -> int:
        """How many rows all sections have."""
        return sum(len(section.rows) for section in self.sections)

    @property
    def control_totals(self) -> dict[str, int]:
        """The sum of every column of credits, by section and column."""
        return {
            f"{section.name}.{column.name}": sum(_number(row[at]) for row in section.rows)
            for section in self.sections
            for at, column in enumerate(section.columns)
            if column.kind is Kind.CREDITS
        }


def columns(spec: str, *, details: frozenset[str] = frozenset()) -> tuple[Column, ...]:
    """Read columns from their names, each with ``:credits``, ``:count`` or ``:instant`` if it is not text."""
    found = (name.partition(":") for name in spec.split())
    return tuple(Column(name=name, kind=Kind(kind or Kind.TEXT), is_detail=name in details) for name, _, kind in found)


def added_up(cols: Sequence[Column], rows: Sequence[tuple[Cell, ...]], *, label: str = "total") -> tuple[Cell, ...]:
    """Return the row of totals: the label first, a sum below each column of numbers, nothing below the others."""
    sums: list[Cell] = [
        sum(_number(row[at]) for row in rows) if column.is_number else None for at, column in enumerate(cols)
    ]
    return (label, *sums[1:])


def _number(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0
