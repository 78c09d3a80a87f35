"""Schedules are kept by whichever node looks: fire times become runs, and each run goes from its plan to its end.

Any number of nodes may look at any time. A run belongs to one node for the length of a lease, every step of it is
written under that lease, and a plan becomes a batch once however often it is applied: so a node that dies is
followed by another one, and two that meet do no more than one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

import structlog

from worker import batch_control
from worker.catalog import applying, firing, harvest, planning
from worker.catalog.applying import PlanStale
from worker.catalog.planning import PlanFaulty
from worker.db import catalog_plans, catalogs, schedule_runs, schedules
from worker.db.catalog_plans import PlanRow
from worker.db.schedule_runs import Progress, RunRow
from worker.domain.schedule import RunState
from worker.intake import RequestsRefused
from worker.services import Services

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
"""How long a node has a run to itself; planning 50,000 items takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What one look did."""

    fired: int
    moved: int


def tick(services: Services, *, now: datetime) -> Tick:
    """Claim the fire times that have come, and move every free run on as far as it goes."""
    fired = firing.fire_due(services.database, now=now, new_id=services.new_id)
    with services.database.transaction() as tx:
        waiting = schedule_runs.free(tx, now=now)
    return Tick(fired=fired, moved=sum(advance(services, run_id, now=now) for run_id in waiting))


def advance(services: Services, run_id: UUID, *, now: datetime) -> bool:
    """Move one run on as far as it goes now; False when another node has it, or nothing has changed."""
    with services.database.transaction() as tx:
        run = schedule_runs.lease(tx, run_id, now=now, lease_until=now + LEASE)
    if run is None:
        return False
    begun = run.state
    while True:
        following = _next(services, run, now)
        if following.state is run.state or following.ended_at is not None:
            break
        if not _record(services, run, following):
            return False
        run = following
    _record(services, run, replace(following, lease_until=None))
    return following.state is not begun


def _record(services: Services, run: RunRow, changed: RunRow) -> bool:
    with services.database.transaction() as tx:
        is_mine = schedule_runs.move(tx, run, changed)
    if is_mine and changed.state is not run.state:
        log.info("schedule.run_moved", run=str(run.id), state=changed.state, outcome=changed.outcome)
    return is_mine


def _next(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Do what the run's state asks for, and give the run as it is then; the same state stands for waiting."""
    match run.state:
        case RunState.QUEUED:
            return _begin_if_first(services, run)
        case RunState.PLANNING:
            return _plan(services, run, now)
        case RunState.APPROVAL:
            return _apply(services, run, now)
        case RunState.RENDERING:
            return _look(services, run, now)
        case RunState.DONE | RunState.SKIPPED | RunState.FAILED:
            return run
        case _:
            assert_never(run.state)


def _begin_if_first(services: Services, run: RunRow) -> RunRow:
    with services.database.transaction() as tx:
        before = schedule_runs.unfinished(tx, run.schedule_id)
    return replace(run, state=RunState.PLANNING) if before and before[0].id == run.id else run


def _plan(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Make the plan; it is written down with the run before it can be applied."""
    harvest.harvest(services.database, now=now, new_id=services.new_id)
    try:
        with services.database.bulk_transaction() as tx:
            schedule = schedules.by_id(tx, run.schedule_id)
            plan = planning.make(
                tx,
                catalogs.lock(tx, schedule.catalog_id),
                plan_id=services.new_id(),
                by=run.requested_by or schedule.created_by,
                now=now,
                credit_cap=schedule.credit_cap,
            )
            planning.save(tx, plan)
    except (PlanFaulty, RequestsRefused) as error:
        return _failed(run, str(error), now)
    return replace(run, state=RunState.APPROVAL, plan_id=plan.id)


def _apply(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Let the plan become a batch, unless it waits for somebody; one that is no longer true is made again."""
    plan = _plan_of(services, run)
    if plan is None:
        return replace(run, state=RunState.PLANNING)
    if plan.needs_approval and plan.approved_at is None and plan.applied_at is None:
        return replace(run, outcome=f"waits for `darkroom catalog approve {plan.id} --by NAME`")
    try:
        applied = applying.apply(
            services.database, plan.id, account_id=services.account_id, now=now, new_id=services.new_id
        )
    except PlanStale:
        return replace(run, state=RunState.PLANNING, plan_id=None, outcome="the catalog changed: planned again")
    except RequestsRefused as error:
        return _failed(run, str(error), now)
    if applied.batch_id is None:
        return replace(run, state=RunState.DONE, spent=0, outcome="nothing to render", ended_at=now)
    return replace(run, state=RunState.RENDERING, batch_id=applied.batch_id, outcome=None)


def _plan_of(services: Services, run: RunRow) -> PlanRow | None:
    if run.plan_id is None:
        return None
    with services.database.transaction() as tx:
        return catalog_plans.by_id(tx, run.plan_id)


def _look(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Say what came of the batch once all of it has ended; what the cap does not reach is left for the next run."""
    if run.batch_id is None:
        return replace(run, state=RunState.APPROVAL)
    with services.database.transaction() as tx:
        found = schedule_runs.progress(tx, run.batch_id)
    if found.active or (found.pending and not found.is_capped):
        return run
    if found.pending:
        batch_control.cancel(services.database, run.batch_id, now=now)
    harvest.harvest(services.database, now=now, new_id=services.new_id)
    return replace(run, state=RunState.DONE, spent=found.spent, outcome=_outcome(found), ended_at=now)


def _outcome(found: Progress) -> str:
    words = [f"{found.succeeded:,} rendered"]
    words += [f"{found.failed:,} without an image"] if found.failed else []
    words += [f"{found.pending:,} beyond the cap, left for the next run"] if found.pending else []
    return ", ".join(words)


def _failed(run: RunRow, reason: str, now: datetime) -> RunRow:
    return replace(run, state=RunState.FAILED, spent=0, outcome=reason, ended_at=now)
