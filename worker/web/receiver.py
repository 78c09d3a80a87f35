"""The receiver of the provider's webhooks: apart from all else of the web process, with no session and no cookies.

A webhook moves the poll of its generation to now, and nothing else; whatever is wrong with it, it costs at most one
look-up by an index.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from worker.accounts import webhooks as endpoints
from worker.accounts.queries import webhooks
from worker.accounts.queries.webhooks import Count, EndpointRow
from worker.core.db.session import Database
from worker.core.rules.errors import first_line
from worker.engine.queries import hints
from worker.provider import webhooks as signed

T = TypeVar("T")
log = structlog.get_logger(__name__)

MOST_BYTES = 64 * 1024
"""Of a body; the documented payload is a generation, which is a thousandth of it."""
READ_S = 3.0
"""For the whole body."""
THREADS = 4
"""Threads that ask the database for webhooks; a flood of them takes none from the others of the process."""
MOST_WAITING = 200
"""Webhooks that may wait for one of those threads; more are answered with 503, and sent again later."""
KNOWN_FOR_S = 5.0
"""How long an endpoint that was found is believed to be there."""
MOST_KNOWN = 1_000
COUNTED_EVERY_S = 2.0
"""How often it is written down what came."""
_PATH = re.compile(r"[A-Za-z0-9_-]{43}")
"""Of an endpoint's secret: 256 bits in base64."""


class Outcome(StrEnum):
    """What was done with a webhook, beside what the engine did with it (HintOutcome)."""

    FORGED = "forged"
    """Its signature is wrong, or too old, or there is none and one is needed."""
    UNREADABLE = "unreadable"
    """It is authentic, and no payload as documented."""
    OTHER = "other"
    """It is authentic, and not about the end of a generation: a test event, or a type that is new."""
    TOO_LARGE = "too_large"
    """Its body is too long."""
    TOO_SLOW = "too_slow"
    """Its body did not come in time."""


_STATUS: Mapping[str, int] = {Outcome.FORGED: 401, Outcome.TOO_LARGE: 413, Outcome.TOO_SLOW: 408}
"""All other outcomes are answered with 204: to send it again would change nothing."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    row: EndpointRow
    until_s: float


class Receiver:
    """Takes webhooks; for one event loop."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Know no endpoint yet."""
        self._database = database
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._counts: Counter[tuple[UUID, str]] = Counter()
        self._counting: asyncio.Task[None] | None = None
        self._limiter: CapacityLimiter | None = None

    async def receive(self, request: Request) -> Response:
        """Answer 204 once the poll is due; 404 where there is no endpoint, 503 where the provider should try again."""
        try:
            endpoint = await self._endpoint(request.path_params["path"])
            if endpoint is None:
                return Response(status_code=404)
            outcome = await self._outcome(endpoint, request)
        except ClientDisconnect:
            return Response(status_code=400)
        except (_Busy, SQLAlchemyError) as error:
            log.warning("webhook.not_taken", error=first_line(error))
            return Response(status_code=503, headers={"Retry-After": "5"})
        self._count(endpoint, outcome)
        return Response(status_code=_STATUS.get(outcome, 204))

    async def _endpoint(self, path: str) -> EndpointRow | None:
        if not _PATH.fullmatch(path):
            return None
        digest = endpoints.digest(path)
        known = self._known.get(digest)
        if known is not None and time.monotonic() < known.until_s:
            return known.row
        row = await self._asked(lambda: self._look_up(digest))
        self._known.pop(digest, None)
        if row is not None and len(self._known) < MOST_KNOWN:
            self._known[digest] = _Known(row=row, until_s=time.monotonic() + KNOWN_FOR_S)
        return row

    async def _outcome(self, endpoint: EndpointRow, request: Request) -> str:
        try:
            with anyio.fail_after(READ_S):
                body = await _body(request)
        except TimeoutError:
            return Outcome.TOO_SLOW
        if body is None:
            return Outcome.TOO_LARGE
        headers = {name.lower(): value for name, value in request.headers.items()}
        return await self._asked(lambda: self._outcome_of(endpoint, headers, body))

    def _look_up(self, digest: bytes) -> EndpointRow | None:
        with self._database.transaction() as tx:
            return webhooks.of_path(tx, digest)

    def _outcome_of(self, endpoint: EndpointRow, headers: Mapping[str, str], body: bytes) -> str:
        """Do what a webhook asks for, if it is authentic; only then is the database asked."""
        now = self._clock()
        if not signed.is_authentic(endpoint.verifiers, headers=headers, body=body, secret=endpoint.secret, now=now):
            return Outcome.FORGED
        event = signed.read(body)
        if event is None:
            return Outcome.UNREADABLE
        if event.generation_id is None or event.type not in signed.EVENT_TYPES:
            return Outcome.OTHER
        with self._database.transaction() as tx:
            return hints.take(tx, endpoint.account_id, event.generation_id, now=now).value

    async def _asked(self, ask: Callable[[], T]) -> T:
        """Ask the database in one of few threads; raises _Busy when too many wait for one."""
        limiter = self._limiter = self._limiter or CapacityLimiter(THREADS)
        if limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise _Busy
        return await to_thread.run_sync(ask, limiter=limiter)

    def _count(self, endpoint: EndpointRow, outcome: str) -> None:
        self._counts[endpoint.id, outcome] += 1
        if self._counting is None:
            self._counting = asyncio.get_running_loop().create_task(self._write_counts())

    async def _write_counts(self) -> None:
        """Write the counts of the next seconds; what is not written when the process ends is lost."""
        await asyncio.sleep(COUNTED_EVERY_S)
        self._counting = None
        counts, self._counts = self._counts, Counter()
        now = self._clock()
        rows = [Count(endpoint_id=id_, outcome=what, count=n, last_at=now) for (id_, what), n in counts.items()]
        outcomes: Counter[str] = Counter()
        for each in rows:
            outcomes[each.outcome] += each.count
        log.info("webhook.counts", outcomes=dict(outcomes))
        try:
            await self._asked(lambda: self._add(rows))
        except (_Busy, SQLAlchemyError) as error:
            log.warning("webhook.not_counted", error=first_line(error))

    def _add(self, rows: list[Count]) -> None:
        with self._database.transaction() as tx:
            webhooks.add_counts(tx, rows)


class _Busy(Exception):
    """Too many webhooks wait for the database."""


async def _body(request: Request) -> bytes | None:
    """Read the body; None when it is too long, of which no more is read than is needed to know."""
    named = request.headers.get("content-length", "")
    if named.isdecimal() and int(named[:12]) > MOST_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def routes(database: Database, clock: Callable[[], datetime]) -> list[BaseRoute]:
    """Return the one route; what the path is says where webhooks come from, so that nothing else authenticates it."""
    receiver = Receiver(database, clock)
    return [Route(endpoints.RECEIVED_AT + "{path}", receiver.receive, methods=["POST"])]
