"""What a person decides about a plan or a run: approve it, refuse it, end it before it renders."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.catalog.applying import PlanRefused, PlanUnknown
from worker.catalog.queries import catalogs, plans, schedule_runs, schedules
from worker.catalog.queries.plans import PlanRow
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.rules.schedule import RunState
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.core.rules.identity import is_same_person

log = structlog.get_logger(__name__)


class ApprovalRefused(DarkroomError):
    """This person cannot approve this plan now."""

    error_code = "approval_refused"

    def __init__(self, reason: str) -> None:
        """Keep the reason, which is a sentence."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return self.reason


def approve(database: Database, plan_id: UUID, *, by: str, now: datetime) -> PlanRow:
    """Record that ``by`` agrees, and give the plan; the same approval again changes nothing."""
    with database.transaction() as tx:
        seen = plans.by_id(tx, plan_id)
        if seen is None:
            raise PlanUnknown(plan_id)
        catalogs.lock(tx, seen.catalog_id)
        plan = plans.by_id(tx, plan_id) or seen
        if plan.approved_by != by:
            _check(plan, by)
            plans.approve(tx, plan_id, by=by, now=now)
        return plans.by_id(tx, plan_id) or plan


def refuse(database: Database, plan_id: UUID, *, by: str, reason: str, now: datetime) -> PlanRow:
    """Record the refusal by ``by`` and return the plan: no more of it is rendered; a second refusal changes nothing.

    Also one that is approved can be refused until it is applied; of one whose sample is applied, the rest is refused.
    """
    with database.transaction() as tx:
        seen = plans.by_id(tx, plan_id)
        if seen is None:
            raise PlanUnknown(plan_id)
        catalogs.lock_only(tx, seen.catalog_id)
        plans.refuse(tx, plan_id, by=by, reason=reason, now=now)
        plan = plans.by_id(tx, plan_id) or seen
        if plan.applied_at is not None:
            raise ApprovalRefused(
                f"this plan has been applied already: `darkroom cancel {plan.batch_id}` stops its batch"
                if plan.batch_id
                else "this plan has been applied already, and had nothing to render"
            )
        return plan


def _check(plan: PlanRow, by: str) -> None:
    if plan.refused_at is not None:
        raise ApprovalRefused(str(PlanRefused(plan.id, plan.refused_by or "", plan.refused_reason or "")))
    if plan.approved_by is not None:
        raise ApprovalRefused(f"{plan.approved_by} has approved this plan already")
    if plan.applied_at is not None:
        raise ApprovalRefused("this plan has been applied already: there is nothing left to approve")
    if plan.needs_approval and is_same_person(by, plan.made_by):
        raise ApprovalRefused(f"{plan.made_by} made this plan, and it needs approval by someone other than")
    if plan.sample is not None and plan.sampled_at is None:
        raise ApprovalRefused("this plan has a sample: apply it first, review the sample, then approve the rest")


WAITING = (RunState.QUEUED, RunState.PLANNING, RunState.APPROVAL)
"""States in which nothing of a run can have been rendered, unless its plan is applied already."""


class RunGoesOn(DarkroomError):
    """The run has ended, or its images are being rendered; nothing was changed."""

    error_code = "run_not_cancellable"

    def __init__(self, run: RunRow) -> None:
        """Keep it as it is."""
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        """Return what may be done instead."""
        if self.run.ended_at is not None:
            return f"run {self.run.id} has already ended: {self.run.outcome}"
        if self.run.batch_id is None:
            return f"run {self.run.id} is {self.run.state}, and its images are being submitted now"
        return f"the images of run {self.run.id} are being rendered: `darkroom cancel {self.run.batch_id}` stops those"


def cancel(database: Database, run_id: UUID, *, by: str, reason: str, now: datetime) -> RunRow:
    """End a run that waits, for good, and give it as it is then; raise RunGoesOn when it waits no longer.

    Its plan is refused with it and can no longer be approved or applied.
    """
    with database.transaction() as tx:
        run = schedule_runs.by_id(tx, run_id)
        if not end(tx, run, by=by, reason=reason, now=now):
            raise RunGoesOn(schedule_runs.by_id(tx, run_id))
        return schedule_runs.by_id(tx, run_id)


def remove(database: Database, schedule_id: UUID, by: Author) -> None:
    """Remove a schedule and its waiting runs; a run that is being rendered continues."""
    with database.transaction() as tx:
        found = schedules.lock(tx, schedule_id)
        if found is None:
            return
        schedules.remove(tx, schedule_id, now=by.now)
        changes.record(tx, by, f"schedule:{found.name}", "removed_at", before=None, after=by.now)
        for run in schedule_runs.unfinished(tx, schedule_id):
            end(tx, run, by=by.actor, reason="the schedule was removed", now=by.now)


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
    is_ended = schedule_runs.end(tx, run.id, outcome=f"ended by {by}: {reason}", now=now)
    if is_ended:
        log.info("schedule.run_moved", run=str(run.id), state=RunState.SKIPPED, outcome=f"ended by {by}: {reason}")
    return is_ended
