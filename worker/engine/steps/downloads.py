"""Download a paid image into the store, or say why it cannot be had."""

from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from worker.core.rules import retry
from worker.core.rules.as_ordered import deviations
from worker.core.rules.errors import NotFound, ProviderError, Throttled
from worker.core.rules.step import COLLECT_TOTAL
from worker.engine.queries.results import Stored
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import pacing
from worker.engine.steps.calling import Calls
from worker.storage.fetch.download import Fetched, FetchFailed, FetchLimits, FetchProblem
from worker.storage.images import MAX_RESULT_BYTES, BadImage, ImageFacts, inspect_result
from worker.storage.names import result_paths, unreadable_path
from worker.storage.store import Conflicting, StoreUnavailable

_LIMITS = FetchLimits(max_bytes=MAX_RESULT_BYTES, total_s=COLLECT_TOTAL.total_seconds())

GONE = "result_gone"
"""The failure after which a job that was asked for its paid image once more is rendered anew."""

NOT_AN_IMAGE = "result_not_an_image"
"""The failure when the same bytes, which are no image, came again and again."""

_NO_MORE = frozenset({HTTPStatus.NOT_FOUND.value, HTTPStatus.GONE.value})


class DownloadFailed(Exception):
    """A paid image could not be had this time; ``is_lost`` when waiting is not likely to help."""

    wait = retry.COLLECT

    def __init__(self, code: str, message: str, is_lost: bool) -> None:  # noqa: FBT001 - positional, to pickle
        """Keep why."""
        super().__init__(code, message, is_lost)
        self.code = code
        self.message = message
        self.is_lost = is_lost


class Unreadable(DownloadFailed):
    """What came is no image that can be read; the same bytes have come ``times`` times in a row."""

    wait = retry.UNREADABLE

    def __init__(self, code: str, message: str, sha256: str, times: int) -> None:
        """Keep which bytes."""
        super().__init__(code, message, True)
        self.args = (code, message, sha256, times)
        self.sha256 = sha256
        self.times = times


class TooLarge(DownloadFailed):
    """What came has more bytes than is permitted."""

    wait = retry.UNREADABLE


def address(services: Services, work: Work, calls: Calls) -> tuple[str, bool]:
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
            pacing.close_key(services, error)
        if work.result_url is None:
            raise DownloadFailed(error.code, str(error), False) from error
        return work.result_url, isinstance(error, NotFound)
    if not urls and work.result_url is None:
        raise DownloadFailed("no_result_url", "the provider names no address for the image", True)
    return (urls[0] if urls else work.result_url or ""), True


def stored(services: Services, work: Work, calls: Calls, url: str, *, is_confirmed: bool) -> Stored:
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
