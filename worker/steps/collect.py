"""Bring the image home: fetched, checked and stored before it counts."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import structlog
from sqlalchemy import Connection

from worker.db import calls as call_log
from worker.db import generations, jobs, parts, results, step_moves
from worker.db.jobs import End
from worker.db.results import Result, Stored
from worker.db.steps import StaleFence, Ticket, Work
from worker.domain import in_hand, retry
from worker.domain.errors import NotFound, ProviderError, Throttled
from worker.domain.job import JobEvent
from worker.domain.model_spec import pixels
from worker.domain.step import COLLECT_TOTAL, COLLECT_WAIT, LEASES, StepKind
from worker.media.download import FetchFailed, FetchLimits, FetchProblem
from worker.media.images import MAX_RESULT_BYTES, BadImage, ImageFacts, inspect_result
from worker.media.names import result_path, twin_path
from worker.media.store import NotStored, StoreUnavailable
from worker.services import Services
from worker.steps import calling, claiming, crashes, outcomes, pacing, reach
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)

_LIMITS = FetchLimits(max_bytes=MAX_RESULT_BYTES, total_s=COLLECT_TOTAL.total_seconds())

_WAIT_FOR_ROOM = timedelta(seconds=5)
"""How soon an image is looked at again for which no thread was free, at the latest."""


GONE = "result_gone"
"""The failure after which a job that was asked for its paid image once more is rendered anew."""

_NO_MORE = frozenset({HTTPStatus.NOT_FOUND.value, HTTPStatus.GONE.value})


class NotInHand(Exception):
    """A paid image could not be had this time; ``is_lost`` when waiting is not likely to help."""

    def __init__(self, code: str, message: str, is_lost: bool) -> None:  # noqa: FBT001 - positional, to pickle
        """Keep why."""
        super().__init__(code, message, is_lost)
        self.code = code
        self.message = message
        self.is_lost = is_lost


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
        url, is_confirmed = _address(services, work, calls)
        stored = _stored(services, work, calls, url, is_confirmed=is_confirmed)
    except NotInHand as problem:
        _record_problem(services, work, calls, problem)
    else:
        whose = {"job_id": work.job_id, "generation_id": work.generation_id}
        _record(services, InHand(work=work, calls=calls, result=Result(**whose, source_url=url, stored=stored)))


def _address(services: Services, work: Work, calls: Calls) -> tuple[str, bool]:
    """Give the image's address; ask for it anew when there is none, or when it has failed before.

    The second is whether the provider has just said that there is no better one.
    """
    if work.result_url is not None and work.attempts == 0:
        return work.result_url, False
    assert work.provider_id is not None
    try:
        urls = calls.get(work.provider_id).result_urls
    except ProviderError as error:
        if isinstance(error, Throttled):
            pacing.close_key(services, error)
        if work.result_url is None:
            raise NotInHand(error.code, str(error), False) from error
        return work.result_url, isinstance(error, NotFound)
    if not urls and work.result_url is None:
        raise NotInHand("no_result_url", "the provider names no address for the image", True)
    return (urls[0] if urls else work.result_url or ""), True


def _stored(services: Services, work: Work, calls: Calls, url: str, *, is_confirmed: bool) -> Stored:
    """Fetch into a temporary file, check it, and put it into the store under a name that nothing else has."""
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        file = Path(folder) / "image"
        try:
            calls.download(url, file, _LIMITS)
            facts = inspect_result(file)
            path = _put(services, work, file, facts)
        except FetchFailed as error:
            is_lost = error.kind is not FetchProblem.TEMPORARY
            raise NotInHand(_code(error, is_confirmed=is_confirmed), str(error), is_lost) from error
        except BadImage as error:
            raise NotInHand("result_unreadable", f"the image {error.reason}", True) from error
        except (StoreUnavailable, NotStored) as error:
            raise NotInHand("store_unavailable", str(error), False) from error
    return Stored(
        path=path,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
    )


def _code(error: FetchFailed, *, is_confirmed: bool) -> str:
    """Name the failure; an image is gone only when its address says so and the provider has no better one."""
    if error.kind is not FetchProblem.GONE:
        return f"result_{error.kind}"
    return GONE if is_confirmed and error.status in _NO_MORE else "result_withheld"


def _put(services: Services, work: Work, file: Path, facts: ImageFacts) -> str:
    """Store the file under its plain name; when other bytes have that name, beside them."""
    path = result_path(work.batch_id, work.key, facts.mime_type)
    if services.store.put_new(path, file, content_type=facts.mime_type):
        return path
    if hashlib.sha256(services.store.read(path)).hexdigest() == facts.sha256:
        return path
    twin = twin_path(work.batch_id, work.key, facts.mime_type, facts.sha256)
    services.store.put_new(twin, file, content_type=facts.mime_type)
    return twin


@dataclass(frozen=True, kw_only=True)
class InHand:
    """An image that lies in the store."""

    work: Work
    calls: Calls
    result: Result


def _record(services: Services, found: InHand) -> None:
    """End the job as succeeded."""
    work, stored = found.work, found.result.stored
    expected = pixels(work.model, work.params)
    if expected not in {None, (stored.width, stored.height)}:
        log.warning(
            "result.unexpected_size",
            **outcomes.ids(work),
            expected=expected,
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
    """Write down the images that are in hand, and end their jobs."""
    now = services.clock()
    ends = [End(job_id=one.work.job_id, event=JobEvent.COLLECT) for one in found]
    parts.run(
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


def _record_problem(services: Services, work: Work, calls: Calls, problem: NotInHand) -> None:
    """Try again later; once patience is at its end the job fails, its credits spent; after ten minutes, say so once."""
    patience = retry.COLLECT_PATIENCE
    now = services.clock()
    waited = now - work.since
    has_waited = waited >= (patience.lost if problem.is_lost else patience.unreachable)
    is_over = has_waited or (work.recalls > 0 and problem.code == GONE)
    tell = log.error if is_over or problem.is_lost else log.warning
    tell("result.not_in_hand", **outcomes.ids(work), code=problem.code, error=problem.message, given_up=is_over)
    try:
        with services.database.transaction() as tx:
            _postpone_or_fail(tx, services, work, problem, is_over=is_over)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        if in_hand.is_alarm(since=work.since, due_at=work.due_at, now=now):
            log.error("result.long_not_in_hand", **outcomes.ids(work), since=work.since, code=problem.code)
        reach.missed(services, work, f"{problem.code}: {problem.message}")


def _postpone_or_fail(tx: Connection, services: Services, work: Work, problem: NotInHand, *, is_over: bool) -> None:
    now = services.clock()
    if is_over:
        step_moves.finish(tx, work)
        failed = End(job_id=work.job_id, event=JobEvent.FAIL, code=problem.code, message=problem.message)
        jobs.end(tx, failed, now=now)
        return
    wait = retry.COLLECT.wait(work.attempts + 1, services.jitter())
    due_at = in_hand.next_try(since=work.since, now=now, wait=wait)
    step_moves.postpone(tx, work, due_at=due_at, attempts=work.attempts + 1, error=f"{problem.code}: {problem.message}")
