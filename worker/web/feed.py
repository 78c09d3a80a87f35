"""The feed of events: one thread per process looks for jobs that have ended, numbers them, and wakes the streams."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from worker.batches.queries import completion_feed
from worker.batches.queries.completion_feed import OVERLAP
from worker.core.db.listening import Listening
from worker.core.db.session import Database
from worker.core.rules.errors import first_line
from worker.web.queries import feed

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
"""How long an end may go unseen that no notification told of."""
_LOOK_AT_MOST_EVERY_S = 0.2
"""A busy node notifies more often than a stream has to tell."""
_PAGES = 20
"""Pages of one batch that are numbered before it is the next one's turn."""
_RETRY_S = 2.0
_NEVER = datetime.min.replace(tzinfo=UTC)
_NO_JOB = UUID(int=0)
_STOP_S = 10.0


class Stream:
    """One reader of the feed: of one batch, or of all of them from an instant on."""

    def __init__(self, batch_id: UUID | None, since: datetime | None) -> None:
        """Belong to the event loop that runs now."""
        self.batch_id, self.since = batch_id, since
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.is_closed = False

    def wake(self, *, is_closed: bool = False) -> None:
        """Wake the reader, from any thread."""
        self.is_closed = self.is_closed or is_closed
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def wait(self, seconds: float) -> bool:
        """Return True when there may be news, False when there was none for so long."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Feed:
    """Numbers ends while there is a stream; idle, it is one thread that waits and one connection that listens."""

    def __init__(self, database: Database, listening: Listening) -> None:
        """Start nothing before the first stream."""
        self._database, self._listening = database, listening
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._looks: dict[UUID, _Look] = {}
        self._is_behind = False
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._kicked = threading.Event()

    @contextmanager
    def following(self, batch_id: UUID | None, since: datetime | None = None) -> Iterator[Stream]:
        """Have the ends of the batch numbered as long as the block lasts; None: all that happen from ``since`` on."""
        stream = Stream(batch_id, since)
        with self._lock:
            self._streams.add(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="event-feed", daemon=True)
                self._thread.start()
        self._kicked.set()
        try:
            yield stream
        finally:
            with self._lock:
                self._streams.discard(stream)

    def close(self) -> None:
        """End every stream, and the thread."""
        self._stopped.set()
        self._kicked.set()
        for stream in self._followed():
            stream.wake(is_closed=True)
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def _followed(self) -> list[Stream]:
        with self._lock:
            return list(self._streams)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._listening.opened() as listener:
                    while not self._stopped.is_set():
                        self._look()
                        listener.check()
                        self._rest(listener.wait)
            except (SQLAlchemyError, psycopg.Error) as error:
                log.warning("feed.unavailable", error=first_line(error))
                self._stopped.wait(_RETRY_S)

    def _rest(self, wait: Callable[[float], None]) -> None:
        """Wait for news while there are streams, and else for a stream."""
        if not self._followed():
            self._looks.clear()
            wait(0)
            self._kicked.wait(LOOK_EVERY_S)
        elif not self._is_behind and not self._kicked.is_set():
            began_s = time.monotonic()
            wait(LOOK_EVERY_S)
            self._stopped.wait(max(0.0, _LOOK_AT_MOST_EVERY_S - (time.monotonic() - began_s)))
        self._kicked.clear()

    def _look(self) -> None:
        streams = self._followed()
        if not streams:
            return
        followed = {stream.batch_id for stream in streams if stream.batch_id is not None}
        ended, now = self._newly_ended(streams)
        news = {batch_id for batch_id in followed | ended if self._number(batch_id)}
        self._is_behind = any(not look.is_whole for look in self._looks.values())
        self._forget(keep=followed)
        if not self._is_behind:
            for stream in streams:
                stream.since = None if stream.since is None else now
        for stream in streams:
            if news and (stream.batch_id is None or stream.batch_id in news):
                stream.wake()

    def _newly_ended(self, streams: list[Stream]) -> tuple[set[UUID], datetime]:
        """Return the batches of which jobs have ended that have no number, if a stream wants all, and the time."""
        since = min((stream.since for stream in streams if stream.since is not None), default=None)
        with self._database.transaction() as tx:
            now = feed.now(tx)
            return set() if since is None else set(feed.newly_ended(tx, since=min(since, now) - OVERLAP)), now

    def _number(self, batch_id: UUID) -> bool:
        """Number what is new of a batch; the first look, and the one after its last end, read all its ends."""
        look = self._looks.get(batch_id)
        if look is None or look.is_whole:
            begun = self._begin(batch_id, look)
            if begun is None:
                return False
            look = self._looks[batch_id] = begun
        has_news = self._go_on(batch_id, look)
        if look.is_whole and look.is_over:
            with self._database.transaction() as tx:
                has_news = feed.number_whole(tx, batch_id) or has_news
        return has_news

    def _begin(self, batch_id: UUID, before: "_Look | None") -> "_Look | None":
        """Return where the next look begins; None when the batch has ended and all its ends are numbered."""
        with self._database.transaction() as tx:
            began_at = feed.now(tx)
            # Asked before the look, which then sees the last ends too.
            is_over = not completion_feed.has_live(tx, batch_id)
            if is_over and before is not None and before.is_over:
                last = feed.last_of(tx, batch_id)
                if last is not None and last.job_id is None and not feed.has_later(tx, last):
                    return None
        since = _NEVER if is_over or before is None else min(before.began_at, began_at) - OVERLAP
        return _Look(began_at=began_at, is_over=is_over, ended_at=since)

    def _go_on(self, batch_id: UUID, look: "_Look") -> bool:
        has_news = False
        for _ in range(_PAGES):
            with self._database.transaction() as tx:
                page = feed.number(tx, batch_id, after=(look.ended_at, look.job_id))
            look.ended_at, look.job_id, look.is_whole = page.ended_at, page.job_id, page.is_last
            has_news = has_news or page.numbered > 0
            if page.is_last:
                break
        return has_news

    def _forget(self, *, keep: set[UUID]) -> None:
        for batch_id in [each for each, look in self._looks.items() if look.is_over and look.is_whole]:
            if batch_id not in keep:
                del self._looks[batch_id]


@dataclass(kw_only=True)
class _Look:
    """How far the ends of a batch are numbered."""

    began_at: datetime
    is_over: bool
    """Whether every job had ended before the look."""
    ended_at: datetime
    job_id: UUID = _NO_JOB
    is_whole: bool = False
    """Whether the look has come to its end."""


def since_of(number: int | None, numbered_at: datetime | None, now: datetime) -> datetime:
    """Return where a stream of all batches begins: after the given number, or now."""
    return now if number is None or numbered_at is None else numbered_at - timedelta(seconds=1)
