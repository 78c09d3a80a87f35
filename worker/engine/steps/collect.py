"""Bring the image home: fetched, checked and stored before it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker.core.db import statements
from worker.core.db.statements import StaleFence
from worker.core.rules import retry
from worker.core.rules.job import JobEvent
from worker.core.rules.step import COLLECT_WAIT, LEASES, StepKind
from worker.engine.queries import calls as call_log
from worker.engine.queries import generations, jobs, results, step_moves
from worker.engine.queries.jobs import End
from worker.engine.queries.results import Result
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import not_downloaded
from worker.engine.services import Services
from worker.engine.steps import calling, claiming, crashes, downloads, outcomes, reach, store_outage
from worker.engine.steps.calling import Calls
from worker.engine.steps.downloads import GONE, NOT_AN_IMAGE, DownloadFailed, Unreadable
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)

_WAIT_FOR_ROOM = timedelta(seconds=5)
"""How soon an image is looked at again for which no thread was free, at the latest."""


def run(services: Services, ticket: Ticket) -> None:
    """See to it that the job succeeds with its image in the store, or has a later due time, or fails at last."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is not None:
        hand_over(services, claimed.work)


def hand_over(services: Services, work: Work) -> None:
    """Do the same, in a thread that is there for it, for a step that this worker has already.

    When all of them have enough to do the step is due again a little later, for whichever node has room.
    """
    services.collectors.take(
        lambda: crashes.of_work(services, work, lambda: _in_time(services, work)),
        lambda: crashes.of_work(services, work, lambda: _leave(services, work)),
    )


def _in_time(services: Services, work: Work) -> None:
    """Bring the image home unless it has waited so long for a thread that its lease might end meanwhile."""
    if services.clock() < work.lease_until - LEASES[StepKind.COLLECT] + COLLECT_WAIT:
        _bring_home(services, work)
    else:
        _leave(services, work)


def _leave(services: Services, work: Work) -> None:
    due_at = services.clock() + _WAIT_FOR_ROOM * (0.5 + services.jitter() / 2)
    outcomes.write_alone(
        services, work, lambda tx: step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts)
    )


def _bring_home(services: Services, work: Work) -> None:
    calls = Calls(services, work.generation_id)
    try:
        # Before anything is fetched for which there is no place.
        services.store.ready()
        url, is_confirmed = downloads.address(services, work, calls)
        stored = downloads.stored(services, work, calls, url, is_confirmed=is_confirmed)
    except StoreUnavailable as error:
        _wait_for_store(services, work, calls, error)
    except DownloadFailed as problem:
        _record_problem(services, work, calls, problem)
    else:
        whose = {"job_id": work.job_id, "generation_id": work.generation_id}
        _record(services, InHand(work=work, calls=calls, result=Result(**whose, source_url=url, stored=stored)))


@dataclass(frozen=True, kw_only=True)
class InHand:
    """An image that lies in the store."""

    work: Work
    calls: Calls
    result: Result


def _record(services: Services, found: InHand) -> None:
    """End the job as succeeded."""
    work, stored = found.work, found.result.stored
    if stored.not_as_ordered:
        # Shown once per batch: a provider that rounds sizes does so for every image.
        log.debug(
            "result.not_as_ordered",
            **outcomes.ids(work),
            differs_in=stored.not_as_ordered,
            mime_type=stored.mime_type,
            width=stored.width,
            height=stored.height,
        )
    try:
        services.write(succeed, found)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        found.calls.write_late()
    else:
        reach.collected(services, work)


def succeed(tx: Connection, services: Services, found: Sequence[InHand]) -> list[None]:
    """Record the downloaded images, and end their jobs."""
    now = services.clock()
    ends = [End(job_id=one.work.job_id, event=JobEvent.COLLECT) for one in found]
    statements.run(
        tx,
        {
            step_moves.FINISH: [step_moves.finishing(one.work) for one in found],
            jobs.END: [jobs.ending(end, now=now) for end in ends],
            results.ADD: [results.adding(one.result, now=now) for one in found],
            call_log.ADD: calling.rows_of(one.calls for one in found),
        },
    )
    for one in found:
        if one.result.source_url != one.work.result_url:
            generations.set_result_url(tx, one.work.generation_id, one.result.source_url)
    return [None] * len(found)


def _record_problem(services: Services, work: Work, calls: Calls, problem: DownloadFailed) -> None:
    """Try again later; once patience is at its end the job fails, its credits spent; after ten minutes, say so once."""
    now = services.clock()
    has_waited = retry.COLLECT_PATIENCE.is_over(
        waited=now - work.since, tries=work.attempts + 1, is_lost=problem.is_lost
    )
    is_over = has_waited or problem.code == NOT_AN_IMAGE or (work.recalls > 0 and problem.code == GONE)
    tell = log.error if is_over or problem.is_lost else log.warning
    tell("result.not_downloaded", **outcomes.ids(work), code=problem.code, error=problem.message, given_up=is_over)
    try:
        with services.database.transaction() as tx:
            _postpone_or_fail(tx, services, work, problem, is_over=is_over)
            if isinstance(problem, Unreadable):
                generations.remember_unreadable(tx, work.generation_id, sha256=problem.sha256, times=problem.times)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        if not_downloaded.is_alarm(since=work.since, due_at=work.due_at, now=now):
            log.error("result.long_not_downloaded", **outcomes.ids(work), since=work.since, code=problem.code)
        reach.missed(services, work, f"{problem.code}: {problem.message}")


def _wait_for_store(services: Services, work: Work, calls: Calls, error: StoreUnavailable) -> None:
    try:
        with services.database.transaction() as tx:
            store_outage.postpone(tx, services, work, error)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        store_outage.note(services, work, error)


def _postpone_or_fail(
    tx: Connection, services: Services, work: Work, problem: DownloadFailed, *, is_over: bool
) -> None:
    now = services.clock()
    if is_over:
        step_moves.finish(tx, work)
        failed = End(job_id=work.job_id, event=JobEvent.FAIL, code=problem.code, message=problem.message)
        jobs.end(tx, failed, now=now)
        return
    wait = problem.wait.wait(work.attempts + 1, services.jitter())
    due_at = not_downloaded.next_try(since=work.since, now=now, wait=wait)
    step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=f"{problem.code}: {problem.message}")
