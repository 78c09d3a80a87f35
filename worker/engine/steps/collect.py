"""Download the result into the store, check it, and end the job as succeeded."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import structlog

from worker.core.rules import retry
from worker.core.rules.errors import NotFound, ProviderError, Throttled
from worker.core.rules.models_catalogue import deviations
from worker.core.rules.states import COLLECT_TOTAL, COLLECT_WAIT, LEASES, JobEvent, StepKind
from worker.engine.queries.generations import FreshAddress, UnreadableResult
from worker.engine.queries.jobs import End
from worker.engine.queries.results import Result, Stored
from worker.engine.queries.step_moves import Finish
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import give_up
from worker.engine.services import Services
from worker.engine.steps import calling, claiming, crashes, outages, outcomes, scope, transitions
from worker.engine.steps.calling import Calls
from worker.engine.steps.transitions import Transition, write_alone
from worker.storage.fetch.download import Fetched, FetchFailed, FetchLimits, FetchProblem
from worker.storage.images import MAX_RESULT_BYTES, BadImage, ImageFacts, inspect_result
from worker.storage.names import result_paths, unreadable_path
from worker.storage.store import Conflicting, StoreUnavailable

log = structlog.get_logger(__name__)
_WAIT_FOR_ROOM = timedelta(seconds=5)
"""How soon an image is looked at again for which no thread was free, at the latest."""


def run(services: Services, ticket: Ticket) -> None:
    """See to it that the job succeeds with its image in the store, or has a later due time, or fails at last."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is not None:
        scope.identify(services, claimed.work)
        hand_over(services, claimed.work)


def hand_over(services: Services, work: Work) -> None:
    """Collect in a download thread, for a step that this worker already holds.

    When all of them have enough to do the step is due again a little later, for whichever node has room.
    """
    services.collectors.take(
        lambda: scope.of_work(
            services,
            work,
            StepKind.COLLECT,
            lambda: crashes.of_work(services, work, lambda: _in_time(services, work)),
        ),
        lambda: crashes.of_work(services, work, lambda: _leave(services, work)),
    )


def _in_time(services: Services, work: Work) -> None:
    """Download the image unless it has waited so long for a thread that its lease might end meanwhile."""
    if services.clock() < work.lease_until - LEASES[StepKind.COLLECT] + COLLECT_WAIT:
        _download(services, work)
    else:
        _leave(services, work)


def _leave(services: Services, work: Work) -> None:
    due_at = services.clock() + _WAIT_FOR_ROOM * (0.5 + services.jitter() / 2)
    write_alone(services, work, lambda _: outcomes.postpone(work, due_at=due_at))


def _download(services: Services, work: Work) -> None:
    calls = Calls(services, work.generation_id)
    try:
        # Before anything is fetched for which there is no place.
        services.store.ready()
        url, is_confirmed = download_address(services, work, calls)
        stored = download(services, work, calls, url, is_confirmed=is_confirmed)
    except StoreUnavailable as error:
        _wait_for_store(services, work, calls, error)
    except DownloadFailed as problem:
        _record_problem(services, work, calls, problem)
    else:
        _record(services, work, calls, url, stored)


def _record(services: Services, work: Work, calls: Calls, url: str, stored: Stored) -> None:
    """End the job as succeeded."""
    if stored.not_as_ordered:
        # Shown once per batch: a provider that rounds sizes does so for every image.
        log.debug(
            "result.not_as_ordered",
            **transitions.ids(work),
            differs_in=stored.not_as_ordered,
            mime_type=stored.mime_type,
            width=stored.width,
            height=stored.height,
        )
    ended = Transition(
        work=work,
        step=Finish(),
        job=End(event=JobEvent.COLLECT),
        generation=None if url == work.result_url else FreshAddress(url=url),
        result=Result(job_id=work.job_id, generation_id=work.generation_id, source_url=url, stored=stored),
        calls=calls,
    )
    if transitions.unless_stale(work, calls, lambda: services.write(transitions.apply, ended)) is not None:
        transitions.tell(ended)
        outages.collected(services, work)


class DownloadFailed(Exception):
    """The download of a paid image failed; ``is_lost`` when a retry is unlikely to help."""

    wait = retry.COLLECT

    def __init__(self, code: str, message: str, is_lost: bool) -> None:  # noqa: FBT001 - positional, to pickle
        """Keep why."""
        super().__init__(code, message, is_lost)
        self.code = code
        self.message = message
        self.is_lost = is_lost


def _record_problem(services: Services, work: Work, calls: Calls, problem: DownloadFailed) -> None:
    """Try again later; at the limits of downloads the job fails, its credits spent; after ten minutes, say so once."""
    now = services.clock()
    has_waited = retry.DOWNLOAD_LIMITS.is_over(
        waited=now - work.since, tries=work.attempts + 1, is_lost=problem.is_lost
    )
    is_over = has_waited or problem.code == NOT_AN_IMAGE or (work.recalls > 0 and problem.code == GONE)
    tell = log.error if is_over or problem.is_lost else log.warning
    tell("result.not_downloaded", **transitions.ids(work), code=problem.code, error=problem.message, given_up=is_over)
    recorded = write_alone(services, work, lambda _: _postpone_or_fail(services, work, problem, is_over=is_over), calls)
    if recorded is not None:
        if give_up.is_alarm(since=work.since, due_at=work.due_at, now=now):
            log.error("result.long_not_downloaded", **transitions.ids(work), since=work.since, code=problem.code)
        outages.missed(services, work, f"{problem.code}: {problem.message}")


def _wait_for_store(services: Services, work: Work, calls: Calls, error: StoreUnavailable) -> None:
    if write_alone(services, work, lambda _: outages.postpone(services, work, error), calls) is not None:
        outages.note(services, work, error)


def _postpone_or_fail(services: Services, work: Work, problem: DownloadFailed, *, is_over: bool) -> Transition:
    now, unreadable = services.clock(), None
    if isinstance(problem, Unreadable):
        unreadable = UnreadableResult(sha256=problem.sha256, times=problem.times)
    if is_over:
        failed = End(event=JobEvent.FAIL, code=problem.code, message=problem.message)
        return Transition(work=work, step=Finish(), job=failed, generation=unreadable)
    wait = problem.wait.wait(work.attempts + 1, services.jitter())
    due_at = give_up.next_try(since=work.since, now=now, wait=wait)
    words = f"{problem.code}: {problem.message}"
    return replace(outcomes.postpone(work, due_at=due_at, attempts=1, error=words), generation=unreadable)


_LIMITS = FetchLimits(max_bytes=MAX_RESULT_BYTES, total_s=COLLECT_TOTAL.total_seconds())
GONE = "result_gone"
"""The failure after which a job that was asked for its paid image once more is rendered anew."""
NOT_AN_IMAGE = "result_not_an_image"
"""The failure when the same bytes, which are no image, came again and again."""
_NO_MORE = frozenset({HTTPStatus.NOT_FOUND.value, HTTPStatus.GONE.value})


class Unreadable(DownloadFailed):
    """The download is not a readable image; the same bytes came ``times`` times in a row."""

    wait = retry.UNREADABLE

    def __init__(self, code: str, message: str, sha256: str, times: int) -> None:
        """Keep which bytes."""
        super().__init__(code, message, True)
        self.args = (code, message, sha256, times)
        self.sha256 = sha256
        self.times = times


class TooLarge(DownloadFailed):
    """The download exceeds the permitted size."""

    wait = retry.UNREADABLE


def download_address(services: Services, work: Work, calls: Calls) -> tuple[str, bool]:
    """Return the image's address; ask for it anew when there is none, or when it has failed before.

    The second is whether the provider has just said that there is no better one.
    """
    if work.result_url is not None and work.attempts == 0:
        return work.result_url, False
    assert work.provider_id is not None
    try:
        urls = calls.get(work.provider_id).result_urls
    except ProviderError as error:
        if isinstance(error, Throttled):
            calling.close_key(services, error)
        if work.result_url is None:
            raise DownloadFailed(error.code, str(error), False) from error
        return work.result_url, isinstance(error, NotFound)
    if not urls and work.result_url is None:
        raise DownloadFailed("no_result_url", "the provider names no address for the image", True)
    return (urls[0] if urls else work.result_url or ""), True


def download(services: Services, work: Work, calls: Calls, url: str, *, is_confirmed: bool) -> Stored:
    """Fetch into a temporary file, check it, and put it into the store under a name that nothing else has."""
    with services.store.spool.scratch() as folder:
        file = folder / "image"
        try:
            fetched = calls.download(url, file, _LIMITS)
            facts = inspect_result(file)
            path = _put(services, work, file, facts)
        except FetchFailed as error:
            is_lost = error.kind is not FetchProblem.TEMPORARY
            kind = TooLarge if error.kind is FetchProblem.TOO_LARGE else DownloadFailed
            raise kind(_code(error, is_confirmed=is_confirmed), str(error), is_lost) from error
        except BadImage as error:
            raise _unreadable(services, work, file, fetched, error) from error
    return Stored(
        path=path,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        frames=facts.frames,
        not_as_ordered=deviations(
            work.model,
            work.params,
            mime_type=facts.mime_type,
            width=facts.width,
            height=facts.height,
            frames=facts.frames,
        ),
        store_id=services.store.identity,
    )


def _unreadable(services: Services, work: Work, file: Path, fetched: Fetched, error: BadImage) -> Unreadable:
    """Count how often these bytes came in a row; the last time they are kept, for they are paid for."""
    is_same = work.unreadable_sha256 == fetched.sha256
    times = work.unreadable_times + 1 if is_same else 1
    if times < retry.UNREADABLE_TIMES:
        return Unreadable("result_unreadable", f"the image {error.reason}", fetched.sha256, times)
    path = unreadable_path(work.batch_id, work.key, fetched.sha256)
    services.store.put_new(path, file, content_type="application/octet-stream")
    words = f"what came {times} times as the image {error.reason}; it is kept as {services.store.location(path)}"
    return Unreadable(NOT_AN_IMAGE, words, fetched.sha256, times)


def _code(error: FetchFailed, *, is_confirmed: bool) -> str:
    """Name the failure; an image is gone only when its address says so and the provider has no better one."""
    if error.kind is not FetchProblem.GONE:
        return f"result_{error.kind}"
    return GONE if is_confirmed and error.status in _NO_MORE else "result_withheld"


def _put(services: Services, work: Work, file: Path, facts: ImageFacts) -> str:
    """Store the file under its plain name; when other bytes have that name, beside them."""
    for path in result_paths(work.batch_id, work.key, facts.mime_type, facts.sha256, work.generation_id):
        with suppress(Conflicting):
            services.store.put_new(path, file, content_type=facts.mime_type)
            return path
    raise StoreUnavailable(services.store.place, f"other bytes have every name that an image of {work.key} may have")
