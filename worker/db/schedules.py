"""Schedules in the database: what is refreshed when, and since when fire times count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from worker.db.session import violated
from worker.domain.schedule import MissedPolicy, OverlapPolicy


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """One schedule."""

    id: UUID
    name: str
    catalog_id: UUID
    catalog: str
    cron: str
    tz: str
    credit_cap: int | None
    overlap: OverlapPolicy
    missed: MissedPolicy
    paused_at: datetime | None
    created_at: datetime
    created_by: str
    claimed_until: datetime
    """Fire times after this instant are not claimed yet."""


class NameTaken(Exception):
    """Another schedule has this name."""

    def __init__(self, name: str) -> None:
        """Keep it."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Say what to do."""
        return f"there is a schedule {self.name!r} already: choose another name, or remove it first"


_SELECT = """
    SELECT s.id, s.name, s.catalog_id, c.name AS catalog, s.cron, s.tz, s.credit_cap, s.overlap, s.missed,
           s.paused_at, s.created_at, s.created_by,
           greatest(s.counts_from, (SELECT max(r.due_at) FROM schedule_run r
                                    WHERE r.schedule_id = s.id AND r.requested_by IS NULL)) AS claimed_until
    FROM schedule s JOIN catalog c ON c.id = s.catalog_id"""


def every(tx: Connection) -> list[ScheduleRow]:
    """Give all schedules by name, paused ones too."""
    return [_row(row) for row in tx.execute(text(f"{_SELECT} WHERE s.removed_at IS NULL ORDER BY s.name")).mappings()]


def by_name(tx: Connection, name: str) -> ScheduleRow | None:
    """Give the schedule of that name."""
    row = (
        tx.execute(text(f"{_SELECT} WHERE s.removed_at IS NULL AND s.name = :name"), {"name": name})
        .mappings()
        .one_or_none()
    )
    return None if row is None else _row(row)


def by_id(tx: Connection, schedule_id: UUID) -> ScheduleRow:
    """Give one schedule, even when it is removed: its runs go on."""
    return _row(tx.execute(text(f"{_SELECT} WHERE s.id = :id"), {"id": schedule_id}).mappings().one())


_LOCK = text("SELECT 1 FROM schedule WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED")


def lock(tx: Connection, schedule_id: UUID) -> ScheduleRow | None:
    """Lock one schedule, and give it as it is then; None when somebody else has it, or it is removed."""
    if tx.execute(_LOCK, {"id": schedule_id}).one_or_none() is None:
        return None
    row = (
        tx.execute(text(f"{_SELECT} WHERE s.removed_at IS NULL AND s.id = :id"), {"id": schedule_id})
        .mappings()
        .one_or_none()
    )
    return None if row is None else _row(row)


_ADD = text("""
    INSERT INTO schedule (id, name, catalog_id, cron, tz, credit_cap, overlap, missed, counts_from, created_at,
                          created_by)
    VALUES (:id, :name, :catalog_id, :cron, :tz, :credit_cap, :overlap, :missed, :now, :now, :created_by)""")


def add(tx: Connection, values: Mapping[str, Any]) -> None:
    """Write a schedule; raise NameTaken.

    ``values``: id, name, catalog_id, cron, tz, credit_cap, overlap, missed, now and created_by.
    """
    try:
        tx.execute(_ADD, dict(values))
    except IntegrityError as error:
        if violated(error) == "uq_schedule_name":
            raise NameTaken(values["name"]) from error
        raise


def pause(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Let it rest; a run that is under way goes on."""
    tx.execute(
        text("UPDATE schedule SET paused_at = coalesce(paused_at, :now) WHERE id = :id"),
        {"id": schedule_id, "now": now},
    )


def resume(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Let it count again, from now on: what would have been due while it rested is not made up for."""
    tx.execute(
        text("""
            UPDATE schedule SET paused_at = NULL, counts_from = :now WHERE id = :id AND paused_at IS NOT NULL"""),
        {"id": schedule_id, "now": now},
    )


def remove(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Take it away; its runs stay, and one that is under way goes on."""
    tx.execute(
        text("UPDATE schedule SET removed_at = :now WHERE id = :id AND removed_at IS NULL"),
        {"id": schedule_id, "now": now},
    )


def _row(row: Mapping[Any, Any]) -> ScheduleRow:
    words = {"overlap": OverlapPolicy(row["overlap"]), "missed": MissedPolicy(row["missed"])}
    return ScheduleRow(**{**row, **words})
