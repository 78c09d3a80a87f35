"""Schedules are kept by whichever node looks: fire times become runs, and each run goes from its plan to its end.

Any number of nodes may look at any time. A run belongs to one node for the length of a lease, every step of it is
written under that lease, and a plan becomes a batch once however often it is applied: so a node that dies is
followed by another one, and two that meet do no more than one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.batches import control
from worker.catalog import applying, approving, cron, planning, publishing
from worker.catalog.applying import PlanRefused, PlanStale
from worker.catalog.cron import DueRun, Timing
from worker.catalog.planning import PlanFaulty
from worker.catalog.publishing import ACTOR
from worker.catalog.queries import catalogs, plans, schedule_runs, schedules
from worker.catalog.queries.catalogs import RecipeUnknown
from worker.catalog.queries.plans import PlanRow
from worker.catalog.queries.schedule_runs import Progress, RunRow
from worker.catalog.queries.schedules import ScheduleRow
from worker.catalog.rules.catalog import Keep
from worker.catalog.rules.schedule import RUN_LEASE, MissedPolicy, OverlapPolicy, RunState
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.engine.services import Services
from worker.intake.write import RequestsRefused

log = structlog.get_logger(__name__)
CHECK_EVERY = timedelta(minutes=5)
"""How often a plan that waits for approval is compared with its catalog."""
STALE_MAX = 5
"""After so many plans in a row that the catalog has overtaken, the run gives up."""
_SAID_MAX = 500


@dataclass(frozen=True, kw_only=True)
class Tick:
    """The effect of one tick."""

    fired: int
    moved: int


def tick(services: Services, *, now: datetime) -> Tick:
    """Claim the due fire times of this account's schedules, and advance every free run."""
    fired = fire_due(services.database, services.account_id, now=now, new_id=services.new_id)
    with services.database.transaction() as tx:
        waiting = schedule_runs.free(tx, services.account_id, now=now)
    return Tick(fired=fired, moved=sum(advance(services, run_id, now=now) for run_id in waiting))


def advance(services: Services, run_id: UUID, *, now: datetime) -> bool:
    """Advance one run as far as possible; False when another node has it, or nothing has changed.

    A plan that the catalog has overtaken is made again, once at most; what follows is left for the next look.
    """
    with services.database.transaction() as tx:
        run = schedule_runs.lease(tx, run_id, now=now, lease_until=now + RUN_LEASE)
    if run is None:
        return False
    begun, following = run, _next(services, run, now)
    while _goes_on(begun, run, following):
        if not _record(services, run, following):
            return False
        run, following = following, _next(services, following, now)
    return _record(services, run, replace(following, lease_until=None)) and following.state is not begun.state


def _goes_on(begun: RunRow, run: RunRow, following: RunRow) -> bool:
    is_moving = following.state is not run.state and following.ended_at is None
    return is_moving and following.stale_plans <= begun.stale_plans + 1


def _record(services: Services, run: RunRow, changed: RunRow) -> bool:
    with services.database.transaction() as tx:
        is_mine = schedule_runs.move(tx, run, changed)
    if is_mine and changed.state is not run.state:
        log.info("schedule.run_moved", run=str(run.id), state=changed.state, outcome=changed.outcome)
    return is_mine


def _next(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Return the run as it is after its next step; one that cannot be planned or applied has failed."""
    try:
        return _step(services, run, now)
    except PlanRefused as error:
        outcome = f"{error.by} refused its plan: {error.reason}"
        return replace(run, state=RunState.SKIPPED, spent=0, outcome=outcome, ended_at=now)
    except (PlanFaulty, RequestsRefused, RecipeUnknown) as error:
        return _failed(run, str(error), now)
    except Exception as error:
        # `schedule runs` shows why it does not progress; it is tried again when the lease expires.
        _record(services, run, replace(run, outcome=f"tried again after {type(error).__name__}: {error}"[:_SAID_MAX]))
        raise


def _step(services: Services, run: RunRow, now: datetime) -> RunRow:
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
    """Let it begin when no other run of its schedule is at work, and none was asked for before it."""
    with services.database.transaction() as tx:
        others = [each for each in schedule_runs.unfinished(tx, run.schedule_id) if each.state is not RunState.QUEUED]
        queue = [each for each in schedule_runs.unfinished(tx, run.schedule_id) if each.state is RunState.QUEUED]
    is_first = not others and queue[0].id == run.id
    return replace(run, state=RunState.PLANNING) if is_first else run


def _plan(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Make the plan; it is written down with the run before it can be applied."""
    publishing.sync_results(services.database, now=now, new_id=services.new_id)
    with services.database.bulk_transaction() as tx:
        schedule = schedules.by_id(tx, run.schedule_id)
        plan = planning.make(
            tx,
            catalogs.lock(tx, schedule.catalog_id),
            plan_id=services.new_id(),
            by=run.requested_by or schedule.created_by,
            now=now,
            credit_cap=schedule.credit_cap,
            approve_above=services.policies.approve_above,
        )
        planning.save(tx, plan)
    return replace(run, state=RunState.APPROVAL, plan_id=plan.id, checked_at=now)


def _apply(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Apply the plan, unless it waits for approval; one that is stale is made again."""
    plan = _plan_of(services, run)
    if plan is None:
        return replace(run, state=RunState.PLANNING)
    if plan.is_waiting and plan.refused_at is None:
        return _wait(services, run, plan, now)
    try:
        applied = applying.apply(
            services.database, plan.id, account_id=services.account_id, now=now, new_id=services.new_id
        )
    except PlanStale:
        return _overtaken(run, now)
    if applied.batch_id is None:
        return replace(run, state=RunState.DONE, spent=0, outcome=_nothing(_left(plan)), ended_at=now)
    return replace(run, state=RunState.RENDERING, batch_id=applied.batch_id, outcome=None)


def _wait(services: Services, run: RunRow, plan: PlanRow, now: datetime) -> RunRow:
    """Wait for an approval, with a plan that is true: it is looked at now and then, which takes as long as planning."""
    waiting = replace(run, outcome=f"waits for `darkroom catalog approve {plan.id} --by NAME`")
    if run.checked_at is not None and now - run.checked_at < CHECK_EVERY:
        return waiting
    if not applying.is_true(services.database, plan.id):
        return _overtaken(run, now)
    return replace(waiting, checked_at=now, stale_plans=0)


def _overtaken(run: RunRow, now: datetime) -> RunRow:
    count = run.stale_plans + 1
    if count >= STALE_MAX:
        return _failed(run, f"the catalog changed {count} times while it was planned", now)
    outcome = "the catalog changed: planned again"
    return replace(run, state=RunState.PLANNING, plan_id=None, stale_plans=count, outcome=outcome)


def _plan_of(services: Services, run: RunRow) -> PlanRow | None:
    if run.plan_id is None:
        return None
    with services.database.transaction() as tx:
        return plans.by_id(tx, run.plan_id)


def _look(services: Services, run: RunRow, now: datetime) -> RunRow:
    """Return the outcome of a batch that has ended; what the cap does not reach is left for the next run."""
    if run.batch_id is None:
        return replace(run, state=RunState.APPROVAL)
    with services.database.transaction() as tx:
        found = schedule_runs.progress(tx, run.batch_id)
    if found.active or (found.pending and not found.is_capped):
        return run
    if found.pending:
        control.cancel(services.database, run.batch_id, now=now)
    publishing.sync_results(services.database, now=now, new_id=services.new_id)
    left = found.pending + _left(_plan_of(services, run))
    return replace(run, state=RunState.DONE, spent=found.spent, outcome=_outcome(found, left), ended_at=now)


def _left(plan: PlanRow | None) -> int:
    """Count what the plan's cap did not reach."""
    return plan.counts.get(Keep.CAPPED, 0) if plan else 0


def _nothing(left: int) -> str:
    return f"nothing to render within the cap, {left:,} left for the next run" if left else "nothing to render"


def _outcome(found: Progress, left: int) -> str:
    words = [f"{found.succeeded:,} rendered"]
    words += [f"{found.failed:,} without an image"] if found.failed else []
    words += [f"{left:,} beyond the cap, left for the next run"] if left else []
    return ", ".join(words)


def _failed(run: RunRow, reason: str, now: datetime) -> RunRow:
    return replace(run, state=RunState.FAILED, spent=0, outcome=reason, ended_at=now)


IN_TIME = timedelta(minutes=15)
"""A fire time that is claimed later than this was missed: no node was alive, or none could reach the database."""


class ScheduleGone(DarkroomError):
    """The schedule was removed meanwhile; no run was requested."""

    error_code = "schedule_removed"

    def __str__(self) -> str:
        """Return the message."""
        return "the schedule was removed meanwhile: `darkroom schedule list` shows those that are kept"


def fire_due(database: Database, account_id: UUID, *, now: datetime, new_id: Callable[[], UUID]) -> int:
    """Claim every due fire time of the account's schedules; return how many runs were created."""
    with database.transaction() as tx:
        waiting = [each for each in schedules.kept_by(tx, account_id) if _owed(each, now)]
    return sum(_fire(database, each.id, now=now, new_id=new_id) for each in waiting)


def run_now(database: Database, schedule_id: UUID, *, by: str, now: datetime, new_id: Callable[[], UUID]) -> UUID:
    """Ask for a run beside the fire times, and give its id; the overlap policy holds for it too. Raises ScheduleGone.

    Waits for another holder of the schedule's lock: only under it is it known which runs are in progress.
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


def _owed(found: ScheduleRow, now: datetime) -> DueRun | None:
    return cron.due_run(Timing(cron=found.cron, tz=found.tz), since=found.claimed_until, now=now)


def _fate(tx: Connection, found: ScheduleRow, owed: DueRun, now: datetime) -> tuple[RunState, str | None]:
    """Return how the run begins, and what is to be said of it already."""
    is_missed = now - owed.due_at > IN_TIME
    if is_missed and found.missed is MissedPolicy.SKIP:
        return RunState.SKIPPED, f"missed: no node was running ({_times(owed.count)})"
    state, outcome = _overlap(tx, found, now)
    if state is RunState.SKIPPED or owed.count == 1:
        return state, outcome
    return state, f"{_times(owed.count - 1)} before it missed"


def _overlap(tx: Connection, found: ScheduleRow, now: datetime) -> tuple[RunState, str | None]:
    before = [each for each in schedule_runs.unfinished(tx, found.id) if not _is_replaced(tx, each, now)]
    if not before:
        return RunState.PLANNING, None
    if found.overlap is OverlapPolicy.SKIP:
        return RunState.SKIPPED, f"the run of {before[0].due_at:%Y-%m-%d %H:%M} UTC has not ended ({before[0].state})"
    # A plan is made when its run begins and covers all that has changed until then, so one in the queue is enough.
    if any(each.state is RunState.QUEUED for each in before):
        return RunState.SKIPPED, "another run is queued already"
    return RunState.QUEUED, None


def _is_replaced(tx: Connection, run: RunRow, now: datetime) -> bool:
    """End a run that still waits for an approval: its successor plans all that it planned, and what came after."""
    if run.state is not RunState.APPROVAL:
        return False
    reason = "its plan was not approved before the next run was due"
    return approving.end(tx, run, by=ACTOR, reason=reason, now=now, spares_approved=True)


def _times(count: int) -> str:
    return f"{count:,} fire time{'' if count == 1 else 's'}"
