"""A report before rendering: sections of rows, their totals, their sources, and the query that asked for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from uuid import UUID

from worker.audit.queries.flows import Scope
from worker.audit.queries.query import Query
from worker.audit.rules.reporting import By, ReportName, SpendBy

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
    """A column: its name and the kind of its cells."""

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
    """A report query and its answer, which is the same for ever for the same instant."""

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
    """Return the row of totals: the label, then the sum of each numeric column; other columns are empty."""
    sums: list[Cell] = [
        sum(_number(row[at]) for row in rows) if column.is_number else None for at, column in enumerate(cols)
    ]
    return (label, *sums[1:])


def _number(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """One report with its parameters; those that do not apply are None."""

    report: ReportName
    as_of: datetime
    by: By | SpendBy | None = None
    owner: str | None = None
    batch_id: UUID | None = None
    from_day: date | None = None
    to_day: date | None = None
    job_id: UUID | None = None
    subject: str | None = None
    """Changes: the beginning of what was changed."""
    near_s: int | None = None
    """Reconciliation: how many seconds around a reading an entry may be on its other side."""
    top_up_from: int | None = None
    """Reconciliation: the smallest rise that counts as a top-up."""

    @property
    def scope(self) -> Scope:
        """Which entries are looked at."""
        return Scope(
            as_of=self.as_of,
            owner=self.owner,
            batch_id=self.batch_id,
            from_day=self.from_day,
            to_day=self.to_day,
        )

    def covers(self, instant: datetime) -> bool:
        """Whether the instant lies on one of the days, UTC, that were asked for."""
        day = instant.astimezone(UTC).date()
        return (self.from_day is None or day >= self.from_day) and (self.to_day is None or day <= self.to_day)

    @property
    def parameters(self) -> dict[str, str | int | None]:
        """The parameters that were given, without the report's name and instant."""
        named = {
            "by": self.by,
            "owner": self.owner,
            "batch_id": self.batch_id,
            "from_day": self.from_day,
            "to_day": self.to_day,
            "job_id": self.job_id,
            "subject": self.subject,
            "near_s": self.near_s,
            "top_up_from": self.top_up_from,
        }
        return {
            name: value if isinstance(value, int) else str(value) for name, value in named.items() if value is not None
        }


def again(report: str, as_of: str, parameters: Mapping[str, str | int | None]) -> ReportQuery:
    """Parse a report query from its written form; raise ValueError or KeyError."""
    name = ReportName(report)
    by = str(parameters["by"]) if "by" in parameters else None
    days = {key: date.fromisoformat(str(parameters[key])) for key in ("from_day", "to_day") if key in parameters}
    ids = {key: UUID(str(parameters[key])) for key in ("batch_id", "job_id") if key in parameters}
    numbers = {key: int(str(parameters[key])) for key in ("near_s", "top_up_from") if key in parameters}
    owner, subject = parameters.get("owner"), parameters.get("subject")
    return ReportQuery(
        report=name,
        as_of=datetime.fromisoformat(as_of),
        by=None if by is None else SpendBy(by) if name is ReportName.SPEND else By(by),
        owner=None if owner is None else str(owner),
        subject=None if subject is None else str(subject),
        from_day=days.get("from_day"),
        to_day=days.get("to_day"),
        batch_id=ids.get("batch_id"),
        job_id=ids.get("job_id"),
        near_s=numbers.get("near_s"),
        top_up_from=numbers.get("top_up_from"),
    )
