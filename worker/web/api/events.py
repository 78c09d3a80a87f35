"""Streams of events (SSE): ends of jobs by number, so that who comes back misses nothing and gets nothing twice."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from worker.batches import views
from worker.batches.queries import completion_feed, results
from worker.engine.queries import batches
from worker.web import authentication
from worker.web import feed as event_feed
from worker.web.api.batches import look
from worker.web.api.operations import Call
from worker.web.api.results import line
from worker.web.feed import Stream
from worker.web.problems import Problem
from worker.web.queries import feed
from worker.web.queries.feed import FeedEvent
from worker.web.rules.identity import Right

EVENTS_TYPE = "text/event-stream"
_AT_ONCE = 200
_RETRY_MS = 1_000
"""After which a client that lost the stream comes back."""
_CHECK_EVERY_S = 60.0
"""How long after its token is revoked a stream may still tell something."""
_NUMBERS_END = 2**63
_HEADERS = {"X-Accel-Buffering": "no"}


@dataclass(frozen=True, kw_only=True)
class _Page:
    """Events as they are sent, and where they end."""

    text: bytes
    last: int
    is_full: bool
    is_over: bool


async def follow_batch(call: Call) -> Response:
    """Send the end of each job of a batch, also those of before, then that of the batch; 204 when all is sent."""
    after = _after(call.request) or 0
    batch_id = await call.in_thread(lambda: _followed(call, after))
    if batch_id is None:
        return Response(status_code=204)
    return _streaming(
        call, batch_id, after, lambda tx, number: feed.of_batch(tx, batch_id, after=number, limit=_AT_ONCE)
    )


async def follow_all(call: Call) -> Response:
    """Send the end of each job of all batches that the identity may see, from now on or after ``Last-Event-ID``."""
    after = _after(call.request)
    number, since = await call.in_thread(lambda: _beginning(call, after))
    owner = call.principal.owner
    return _streaming(
        call, None, number, lambda tx, n: feed.of_all(tx, owner=owner, after=n, limit=_AT_ONCE), since=since
    )


def _after(request: Request) -> int | None:
    text = request.headers.get("last-event-id", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_NUMBERS_END)) or int(text) >= _NUMBERS_END:
        raise Problem(400, "last_event_id_invalid", "Last-Event-ID is not the id of an event of this server")
    return int(text)


def _followed(call: Call, after: int) -> UUID | None:
    """Return the batch; None when its end has been sent, and nothing has come since."""
    with call.database.transaction() as tx:
        row = call.batch(tx)
        last = feed.last_of(tx, row.id)
        is_sent = last is not None and last.job_id is None and last.number <= after
        if is_sent and last is not None and not completion_feed.has_live(tx, row.id) and not feed.has_later(tx, last):
            return None
        return row.id


def _beginning(call: Call, after: int | None) -> tuple[int, Any]:
    with call.database.transaction() as tx:
        now = feed.now(tx)
        numbered_at = None if after is None else feed.numbered_at(tx, after)
        return (feed.newest(tx) if after is None else after), event_feed.since_of(after, numbered_at, now)


def _streaming(
    call: Call, batch_id: UUID | None, after: int, read: Callable[[Connection, int], list[FeedEvent]], since: Any = None
) -> Response:
    held = ExitStack()
    held.enter_context(call.api.streams.taking(call.principal.actor))
    try:
        stream = held.enter_context(call.api.feed.following(batch_id, since))
    except BaseException:
        held.close()
        raise
    return _HeldResponse(_events(call, stream, after, read), held)


class _HeldResponse(StreamingResponse):
    """A stream that gives its place back however it ends, also when it never began."""

    def __init__(self, content: AsyncIterator[bytes], held: ExitStack) -> None:
        super().__init__(content, media_type=EVENTS_TYPE, headers=_HEADERS)
        self._held = held

    async def __call__(self, *arguments: Any) -> None:
        with self._held:
            await super().__call__(*arguments)


async def _events(
    call: Call, stream: Stream, after: int, read: Callable[[Connection, int], list[FeedEvent]]
) -> AsyncIterator[bytes]:
    yield f"retry: {_RETRY_MS}\n\n".encode()
    checked_s = time.monotonic()
    while not stream.is_closed:
        if is_due := time.monotonic() > checked_s + _CHECK_EVERY_S:
            checked_s = time.monotonic()
        page = await call.in_thread(
            lambda after=after, is_due=is_due: _read(call, stream, after, read, is_due=is_due),  # type: ignore[misc]
            call.api.events,
        )
        after = page.last
        if page.text:
            yield page.text
        if page.is_over:
            return
        while not page.is_full and not await stream.wait(call.api.limits.heartbeat_s):
            yield b": alive\n\n"


def _read(
    call: Call, stream: Stream, after: int, read: Callable[[Connection, int], list[FeedEvent]], *, is_due: bool
) -> _Page:
    if is_due and not _is_still_permitted(call.request):
        return _Page(text=b"", last=after, is_full=False, is_over=True)
    with call.database.transaction() as tx:
        events = read(tx, after)
        text = b"".join(_written(call, tx, events))
        is_over = False
        if stream.batch_id is not None and events and events[-1].job_id is None:
            is_over = not completion_feed.has_live(tx, stream.batch_id) and not feed.has_later(tx, events[-1])
    last = events[-1].number if events else after
    return _Page(text=text, last=last, is_full=len(events) == _AT_ONCE, is_over=is_over)


def _is_still_permitted(request: Request) -> bool:
    del request.state.principal
    try:
        authentication.principal(request, Right.READ)
    except Problem:
        return False
    return True


def _written(call: Call, tx: Connection, events: Sequence[FeedEvent]) -> list[bytes]:
    found = results.of_jobs(tx, [event.job_id for event in events if event.job_id is not None])
    texts = []
    for event in events:
        if event.job_id is None:
            row = batches.by_id(tx, event.batch_id)
            if row is not None:
                texts.append(_event(event.number, "batch", views.batch(look(call, tx, row))))
            continue
        outcome = found.get(event.job_id)
        # A job that was retried meanwhile is told of when it ends again.
        if outcome is not None and outcome.ended_at == event.ended_at:
            texts.append(_event(event.number, "job", line(outcome, event.batch_id)))
    return texts


def _event(number: int, kind: str, data: dict[str, Any]) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
