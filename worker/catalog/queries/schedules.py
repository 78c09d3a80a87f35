"""Schedules in the database: what is refreshed when, and since when fire times count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.core.db.session import violated
from worker.core.rules.errors import DarkroomError


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
    account_id: UUID | None
    """Whose nodes keep it; None: whichever node looks."""
    removed_at: datetime | None


class NameTaken(DarkroomError):
    """Another schedule has this name."""

    error_code = "schedule_name_taken"

    def __init__(self, name: str) -> None:
        """Keep it."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return f"there is a schedule {self.name!r} already: choose another name, or remove it first"


_SELECT = """
    SELECT s.id, s.name, s.catalog_id, c.name AS catalog, s.cron, s.tz, s.credit_cap, s.overlap, s.missed,
           s.paused_at, s.created_at, s.created_by, s.account_id, s.removed_at,
           greatest(s.counts_from, (SELECT max(r.due_at) FROM schedule_run r
                                    WHERE r.schedule_id = s.id AND r.requested_by IS NULL)) AS claimed_until
    FROM schedule s JOIN catalog c ON c.id = s.catalog_id"""


def every(tx: Connection) -> list[ScheduleRow]:
    """Return all schedules by name, paused ones too."""
    return [_row(row) for row in tx.execute(text(f"{_SELECT} WHERE s.removed_at IS NULL ORDER BY s.name")).mappings()]


def kept_by(tx: Connection, account_id: UUID) -> list[ScheduleRow]:
    """Return the schedules that nodes of this account keep, and that do not rest."""
    query = f"""
        {_SELECT}
        WHERE s.removed_at IS NULL AND s.paused_at IS NULL AND coalesce(s.account_id, :account) = :account
        ORDER BY s.name"""
    return [_row(row) for row in tx.execute(text(query), {"account": account_id}).mappings()]


def by_name(tx: Connection, name: str, *, or_removed: bool = False) -> ScheduleRow | None:
    """Return the schedule of that name; ``or_removed``: where there is none, the one that was removed last."""
    query = f"""
        {_SELECT} WHERE s.name = :name AND (s.removed_at IS NULL OR :or_removed)
        ORDER BY s.removed_at DESC NULLS FIRST LIMIT 1"""
    row = tx.execute(text(query), {"name": name, "or_removed": or_removed}).mappings().one_or_none()
    return None if row is None else _row(row)


def by_id(tx: Connection, schedule_id: UUID) -> ScheduleRow:
    """Return one schedule, even when it is removed: its runs go on."""
    return _row(tx.execute(text(f"{_SELECT} WHERE s.id = :id"), {"id": schedule_id}).mappings().one())


_LOCK = "SELECT 1 FROM schedule WHERE id = :id AND removed_at IS NULL FOR NO KEY UPDATE"


def lock(tx: Connection, schedule_id: UUID) -> ScheduleRow | None:
    """Lock one schedule, waiting for the lock, and return it as it is then; None when it is removed."""
    is_there = tx.execute(text(_LOCK), {"id": schedule_id}).one_or_none() is not None
    return by_id(tx, schedule_id) if is_there else None


def lock_if_free(tx: Connection, schedule_id: UUID) -> ScheduleRow | None:
    """Lock one schedule and return it as it is then; None when it is locked already, or removed."""
    is_mine = tx.execute(text(f"{_LOCK} SKIP LOCKED"), {"id": schedule_id}).one_or_none() is not None
    return by_id(tx, schedule_id) if is_mine else None


_ADD = text("""
    INSERT INTO schedule (id, name, catalog_id, cron, tz, credit_cap, overlap, missed, counts_from, created_at,
                          created_by, account_id)
    VALUES (:id, :name, :catalog_id, :cron, :tz, :credit_cap, :overlap, :missed, :now, :now, :created_by,
            :account_id)""")


def add(tx: Connection, values: Mapping[str, Any]) -> None:
    """Write a schedule; raise NameTaken.

    ``values``: id, name, catalog_id, cron, tz, credit_cap, overlap, missed, now, created_by and account_id.
    """
    try:
        tx.execute(_ADD, dict(values))
    except IntegrityError as error:
        if violated(error) == "uq_schedule_name":
            raise NameTaken(values["name"]) from error
        raise


_CHANGE = text("""
    UPDATE schedule SET cron = :cron, tz = :tz, credit_cap = :credit_cap, overlap = :overlap, missed = :missed,
        created_by = :created_by, counts_from = :now
    WHERE id = :id""")


def change(tx: Connection, schedule_id: UUID, values: Mapping[str, Any]) -> None:
    """Set when it runs, what a run may cost and who answers for it; ``values`` as for ``add``, fire times from now."""
    names = ("cron", "tz", "credit_cap", "overlap", "missed", "created_by", "now")
    tx.execute(_CHANGE, {"id": schedule_id, **{name: values[name] for name in names}})


def pause(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Pause the schedule; a run in progress continues."""
    tx.execute(
        text("UPDATE schedule SET paused_at = coalesce(paused_at, :now) WHERE id = :id"),
        {"id": schedule_id, "now": now},
    )


def resume(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Resume the schedule from now on; fire times during the pause are not made up for."""
    tx.execute(
        text("""
            UPDATE schedule SET paused_at = NULL, counts_from = :now WHERE id = :id AND paused_at IS NOT NULL"""),
        {"id": schedule_id, "now": now},
    )


def remove(tx: Connection, schedule_id: UUID, *, now: datetime) -> None:
    """Remove the schedule; its runs stay, and a run in progress continues."""
    tx.execute(
        text("UPDATE schedule SET removed_at = :now WHERE id = :id AND removed_at IS NULL"),
        {"id": schedule_id, "now": now},
    )


def _row(row: Mapping[Any, Any]) -> ScheduleRow:
    words = {"overlap": OverlapPolicy(row["overlap"]), "missed": MissedPolicy(row["missed"])}
    return ScheduleRow(**{**row, **words})
