"""A fire time that has come is claimed: once, by one node of many, as a run that begins, waits or is left out."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.catalog import cron, ending
from worker.catalog.cron import Owed, Timing
from worker.catalog.harvest import ACTOR
from worker.catalog.queries import schedule_runs, schedules
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.queries.schedules import ScheduleRow
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy, RunState
from worker.core.db.session import Database

log = structlog.get_logger(__name__)

IN_TIME = timedelta(minutes=15)
"""A fire time that is claimed later than this was missed: no node was alive, or none could reach the database."""


class ScheduleGone(Exception):
    """The schedule was removed meanwhile; nothing was asked for."""

    def __str__(self) -> str:
        """Return the message."""
        return "the schedule was removed meanwhile: `darkroom schedule list` shows those that are kept"


def fire_due(database: Database, account_id: UUID, *, now: datetime, new_id: Callable[[], UUID]) -> int:
    """Claim every fire time that has come of the account's schedules; give how many runs were written."""
    with database.transaction() as tx:
        waiting = [each for each in schedules.kept_by(tx, account_id) if _owed(each, now)]
    return sum(_fire(database, each.id, now=now, new_id=new_id) for each in waiting)


def run_now(database: Database, schedule_id: UUID, *, by: str, now: datetime, new_id: Callable[[], UUID]) -> UUID:
    """Ask for a run beside the fire times, and give its id; the overlap policy holds for it too. Raises ScheduleGone.

    Whoever has the schedule at this moment is waited for: only under its lock is it known what is in the way.
    """
    run_id = new_id()
    with database.transaction() as tx:
        found = schedules.lock(tx, schedule_id)
        if found is None:
            raise ScheduleGone
        state, outcome = _overlap(tx, found, now)
        claim = partial(
            schedule_runs.claim,
            tx,
            run_id=run_id,
            schedule_id=schedule_id,
            state=state,
            outcome=outcome,
            requested_by=by,
            now=now,
        )
        due_at = now
        # Another run may have been asked for at this very instant.
        while not claim(due_at=due_at):
            due_at += timedelta(microseconds=1)
    return run_id


def _fire(database: Database, schedule_id: UUID, *, now: datetime, new_id: Callable[[], UUID]) -> int:
    """Claim the newest of what one schedule owes; the older ones are over with it.

    The lock spares two nodes the same work. That no fire time has two runs is the unique index's doing.
    """
    with database.transaction() as tx:
        found = schedules.lock_if_free(tx, schedule_id)
        owed = None if found is None or found.paused_at is not None else _owed(found, now)
        if found is None or owed is None:
            return 0
        state, outcome = _fate(tx, found, owed, now)
        is_mine = schedule_runs.claim(
            tx,
            run_id=new_id(),
            schedule_id=schedule_id,
            due_at=owed.due_at,
            state=state,
            outcome=outcome,
            now=now,
        )
    if is_mine:
        log.info("schedule.fired", schedule=found.name, due_at=owed.due_at.isoformat(), state=state)
    return int(is_mine)


def _owed(found: ScheduleRow, now: datetime) -> Owed | None:
    return cron.owed(Timing(cron=found.cron, tz=found.tz), since=found.claimed_until, now=now)


def _fate(tx: Connection, found: ScheduleRow, owed: Owed, now: datetime) -> tuple[RunState, str | None]:
    """Return how the run begins, and what is to be said of it already."""
    is_missed = now - owed.due_at > IN_TIME
    if is_missed and found.missed is MissedPolicy.SKIP:
        return RunState.SKIPPED, f"missed: no node was alive ({_times(owed.count)})"
    state, outcome = _overlap(tx, found, now)
    if state is RunState.SKIPPED or owed.count == 1:
        return state, outcome
    return state, f"{_times(owed.count - 1)} before it missed"


def _overlap(tx: Connection, found: ScheduleRow, now: datetime) -> tuple[RunState, str | None]:
    before = [each for each in schedule_runs.unfinished(tx, found.id) if not _is_replaced(tx, each, now)]
    if not before:
        return RunState.PLANNING, None
    if found.overlap is OverlapPolicy.SKIP:
        return RunState.SKIPPED, f"the run of {before[0].due_at:%Y-%m-%d %H:%M} UTC is not over ({before[0].state})"
    # A plan is made when its run begins and covers all that has changed until then, so one in the queue is enough.
    if any(each.state is RunState.QUEUED for each in before):
        return RunState.SKIPPED, "another run is queued already"
    return RunState.QUEUED, None


def _is_replaced(tx: Connection, run: RunRow, now: datetime) -> bool:
    """End a run that still waits for an approval: its successor plans all that it planned, and what came after."""
    if run.state is not RunState.APPROVAL:
        return False
    reason = "nobody approved its plan before the next run"
    return ending.end(tx, run, by=ACTOR, reason=reason, now=now, spares_approved=True)


def _times(count: int) -> str:
    return f"{count:,} fire time{'' if count == 1 else 's'}"
