"""A run ends before anything of it is rendered: somebody wants that, or a newer run takes its place."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog.queries import catalogs, plans, schedule_runs, schedules
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.rules.schedule import RunState
from worker.core.db.session import Database

WAITING = (RunState.QUEUED, RunState.PLANNING, RunState.APPROVAL)
"""States in which nothing of a run can have been rendered, unless its plan is applied already."""


class RunGoesOn(Exception):
    """The run is over, or its images are being rendered; nothing was changed."""

    def __init__(self, run: RunRow) -> None:
        """Keep it as it is."""
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        """Return what may be done instead."""
        if self.run.ended_at is not None:
            return f"run {self.run.id} is over already: {self.run.outcome}"
        if self.run.batch_id is None:
            return f"run {self.run.id} is {self.run.state}, and its images are being asked for at this moment"
        return f"the images of run {self.run.id} are being rendered: `darkroom cancel {self.run.batch_id}` stops those"


def cancel(database: Database, run_id: UUID, *, by: str, reason: str, now: datetime) -> RunRow:
    """End a run that waits, for good, and give it as it is then; raise RunGoesOn when it waits no longer.

    Its plan is refused with it: nobody can approve or apply that later.
    """
    with database.transaction() as tx:
        run = schedule_runs.by_id(tx, run_id)
        if not end(tx, run, by=by, reason=reason, now=now):
            raise RunGoesOn(schedule_runs.by_id(tx, run_id))
        return schedule_runs.by_id(tx, run_id)


def remove(database: Database, schedule_id: UUID, *, by: str, now: datetime) -> None:
    """Take a schedule away with all of its runs that wait; one whose images are being rendered goes on."""
    with database.transaction() as tx:
        schedules.lock(tx, schedule_id)
        schedules.remove(tx, schedule_id, now=now)
        for run in schedule_runs.unfinished(tx, schedule_id):
            end(tx, run, by=by, reason="the schedule was removed", now=now)


def end(tx: Connection, run: RunRow, *, by: str, reason: str, now: datetime, spares_approved: bool = False) -> bool:
    """End the run and refuse its plan; False, and nothing changed, when the plan is applied, or approved and spared.

    Locks the catalog, after the schedule where the caller has that: a plan is applied under the same lock.
    """
    if run.state not in WAITING:
        return False
    catalogs.lock_only(tx, schedules.by_id(tx, run.schedule_id).catalog_id)
    run = schedule_runs.by_id(tx, run.id)
    plan = None if run.plan_id is None else plans.by_id(tx, run.plan_id)
    if plan is not None:
        if plan.applied_at is not None or (spares_approved and not plan.is_waiting):
            return False
        plans.refuse(tx, plan.id, by=by, reason=reason, now=now)
    return schedule_runs.end(tx, run.id, outcome=f"ended by {by}: {reason}", now=now)
