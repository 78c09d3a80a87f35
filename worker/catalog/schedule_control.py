"""What a person does with a schedule: add, change, pause and resume it; each is in the log of changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog import cron
from worker.catalog.queries import schedules
from worker.catalog.queries.schedules import ScheduleRow
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.catalog.scheduling import ScheduleGone
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import UnfitError
from worker.core.rules.text import label


class ScheduleInvalid(DarkroomError):
    """The schedule is invalid; nothing was changed."""

    error_code = "schedule_invalid"
    exit_code = 2

    def __init__(self, reason: str) -> None:
        """Keep the reason, which is a sentence."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a schedule is to do, and when."""

    cron: str
    tz: str
    credit_cap: int
    """Most credits that one run may commit, 1 or more."""
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    missed: MissedPolicy = MissedPolicy.RUN_ONCE


def add(
    database: Database, by: Author, name: str, catalog_id: UUID, wanted: Wanted, *, account_id: UUID
) -> ScheduleRow:
    """Add a schedule; its author is the planner of its plans. Raises ScheduleInvalid and NameTaken."""
    try:
        known = label(name)
    except UnfitError as unfit:
        raise ScheduleInvalid(f"the name {unfit.reason}") from unfit
    schedule_id, values = by.new_id(), _values(wanted, by)
    identity = {"id": schedule_id, "name": known, "catalog_id": catalog_id, "account_id": account_id}
    with database.transaction() as tx:
        schedules.add(tx, {**values, **identity})
        made = schedules.by_id(tx, schedule_id)
        changes.record(tx, by, subject(made), "schedule", before=None, after=f"{made.catalog}, {_said(made)}")
        return made


def change(database: Database, by: Author, schedule_id: UUID, wanted: Wanted) -> ScheduleRow:
    """Change when a schedule runs and what a run may cost; fire times that have passed are not made up for.

    Runs that are under way go on as they were planned. Raises ScheduleInvalid and ScheduleGone.
    """
    values = _values(wanted, by)
    with database.transaction() as tx:
        before = _locked(tx, schedule_id)
        # Whoever changed it last answers for its plans, so that nobody approves what they ordered themselves.
        schedules.change(tx, schedule_id, values)
        after = schedules.by_id(tx, schedule_id)
        changes.record(tx, by, subject(after), "schedule", before=_said(before), after=_said(after))
        return after


def pause(database: Database, by: Author, schedule_id: UUID) -> ScheduleRow:
    """Pause a schedule; a run in progress continues. Raises ScheduleGone."""
    with database.transaction() as tx:
        before = _locked(tx, schedule_id)
        schedules.pause(tx, schedule_id, now=by.now)
        return _paused(tx, by, before)


def resume(database: Database, by: Author, schedule_id: UUID) -> ScheduleRow:
    """Resume a schedule; fire times that passed while it was paused are not made up for. Raises ScheduleGone."""
    with database.transaction() as tx:
        before = _locked(tx, schedule_id)
        schedules.resume(tx, schedule_id, now=by.now)
        return _paused(tx, by, before)


def subject(schedule: ScheduleRow) -> str:
    """Return the schedule as the log of changes names it."""
    return f"schedule:{schedule.name}"


def _paused(tx: Connection, by: Author, before: ScheduleRow) -> ScheduleRow:
    after = schedules.by_id(tx, before.id)
    changes.record(tx, by, subject(after), "paused_at", before=before.paused_at, after=after.paused_at)
    return after


def _locked(tx: Connection, schedule_id: UUID) -> ScheduleRow:
    found = schedules.lock(tx, schedule_id)
    if found is None:
        raise ScheduleGone
    return found


def _values(wanted: Wanted, by: Author) -> Mapping[str, Any]:
    try:
        checked = cron.timing(wanted.cron, wanted.tz, now=by.now)
    except cron.BadTiming as error:
        raise ScheduleInvalid(str(error)) from error
    return {
        "cron": checked.cron,
        "tz": checked.tz,
        "credit_cap": wanted.credit_cap,
        "overlap": wanted.overlap,
        "missed": wanted.missed,
        "now": by.now,
        "created_by": by.actor,
    }


def _said(found: ScheduleRow) -> str:
    cap = "no cap" if found.credit_cap is None else f"cap {found.credit_cap}"
    return f"{found.cron} {found.tz}, {cap}, overlap {found.overlap}, missed {found.missed}, planner {found.created_by}"
