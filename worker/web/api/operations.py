"""Operations of the HTTP API: what each needs and answers, and how a request becomes a call of its handler."""

import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import anyio.to_thread
from anyio import CapacityLimiter
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.core.db.changes import Author
from worker.core.db.listening import Listening
from worker.core.db.session import Database
from worker.core.rules.fault import UnfitError, not_known
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow
from worker.web import authentication
from worker.web.api import bodies
from worker.web.context import WebContext
from worker.web.feed import Feed
from worker.web.limits import RETRY_S, Places, RequestRates
from worker.web.problems import Problem
from worker.web.rules.identity import Principal, Right

T = TypeVar("T")
JSON_TYPE, LINES_TYPE = "application/json", "application/x-ndjson"


class Api:
    """What the operations of one process share: its bounds, threads, and the feed of events."""

    def __init__(self, context: WebContext) -> None:
        """Start nothing; threads together take fewer connections than the database's pool has."""
        self.context = context
        limits = self.limits = context.limits
        self.rates = RequestRates(limits.requests)
        self.uploads = Places("uploads", total=limits.uploads, of_one=limits.uploads_of_one)
        self.streams = Places("streams", total=limits.streams, of_one=limits.streams_of_one)
        self.quick, self.long, self.images, self.events = (CapacityLimiter(count) for count in (10, 4, 4, 2))
        self.feed = Feed(context.database, Listening(context.database, context.settings.database_direct_url))
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """End the feed when the process does."""
        yield
        await anyio.to_thread.run_sync(self.feed.close)

    @contextmanager
    def submitting(self, token: str) -> Iterator[None]:
        """Hold the token while its submission is taken; raise Problem while another request does."""
        with self._lock:
            if token in self._taken:
                raise Problem(
                    409, "submission_in_flight", f"a submission with the key {token!r} is being taken: repeat it later",
                    headers={"Retry-After": str(RETRY_S)},
                )  # fmt: skip
            self._taken.add(token)
        try:
            yield
        finally:
            with self._lock:
                self._taken.discard(token)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authenticated request of an operation."""

    request: Request
    api: Api
    principal: Principal

    @property
    def context(self) -> WebContext:
        """Return the process's services; a form with its own ids has some of its own."""
        context: WebContext = getattr(self.request.state, "context", self.api.context)
        return context

    @property
    def database(self) -> Database:
        """The pool of connections."""
        return self.api.context.database

    def author(self, reason: str | None = None) -> Author:
        """Return the identity as the author of a change."""
        return self.context.author(self.principal, reason)

    def id(self, name: str) -> UUID:
        """Return an id of the path; raise Problem for what is none, as for one that nothing has."""
        text = self.request.path_params[name]
        try:
            return UUID(text)
        except ValueError:
            raise not_found(name.removesuffix("_id")) from None

    def batch(self, tx: Connection) -> BatchRow:
        """Return the batch of the path; raise Problem when there is none that the identity may see."""
        found = batches.by_id(tx, self.id("batch_id"))
        if found is None or not self.may_see(found):
            raise not_found("batch")
        return found

    def may_see(self, batch: BatchRow) -> bool:
        """Whether the batch belongs to the owner that the identity acts for."""
        return self.principal.owner in {None, batch.owner}

    async def in_thread(self, work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
        """Run what waits in a thread."""
        return await anyio.to_thread.run_sync(work, limiter=limiter or self.api.quick)


def not_found(what: str) -> Problem:
    """Return the problem of an id that nothing has, or nothing that the identity may see."""
    return Problem(404, "not_found", f"there is no such {what}")


Handler = Callable[..., Any | Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path, with all that the OpenAPI document says of it.

    ``handler`` gets the call, then ``query`` and ``body`` where these are declared. A plain function runs in a thread;
    it returns a response, or what is answered as JSON. A coroutine does its own waiting.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Handler
    right: Right | None
    answer: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    is_body_needed: bool = False
    status: int = 200
    produces: tuple[str, ...] = (JSON_TYPE,)
    consumes: Mapping[str, Any] = field(default_factory=dict)
    """Bodies that are no JSON, by media type, with their schemas."""
    problems: tuple[int, ...] = ()
    """Statuses of its own problems, beside those that every operation has."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that it reads, with what they are."""

    async def respond(self, request: Request) -> Response:
        """Answer one request; raises Problem and the errors of the services."""
        api: Api = request.app.state.api
        expect_acceptable(request, self.produces)
        if self.right is None:
            return await self._result(Call(request=request, api=api, principal=_NOBODY))
        right = self.right
        who = await anyio.to_thread.run_sync(lambda: authentication.principal(request, right), limiter=api.quick)
        _spend(request, api, who)
        call = Call(request=request, api=api, principal=who)
        given = []
        if self.query is not None:
            given.append(parsed(self.query, _query(request, self.query), "query"))
        elif request.query_params:
            raise _no_parameter(next(iter(request.query_params)), ())
        if self.body is not None:
            given.append(await self._body(call))
        return await self._result(call, *given)

    async def _result(self, call: Call, *given: object) -> Response:
        if inspect.iscoroutinefunction(self.handler):
            found: Any = await self.handler(call, *given)
        else:
            found = await call.in_thread(lambda: self.handler(call, *given))
        return found if isinstance(found, Response) else JSONResponse(found, self.status)

    async def _body(self, call: Call) -> BaseModel:
        assert self.body is not None
        bodies.expect_plain(call.request)
        limits = call.api.limits
        value = await bodies.read_json(call.request, limits, most_bytes=limits.control_bytes)
        if value is None and self.is_body_needed:
            raise Problem(400, "json_invalid", "the request has no body")
        return parsed(self.body, {} if value is None else value, "body")


_NOBODY = Principal(name="", actor="", rights=frozenset())


def _spend(request: Request, api: Api, who: Principal) -> None:
    verdict = api.rates.spend(who.actor)
    request.state.rate = {"RateLimit-Policy": api.rates.policy.header, "RateLimit": verdict.header}
    if not verdict.is_permitted:
        raise Problem(
            429, "rate_limited", f"{who.actor} has sent more than {api.rates.policy.quota} requests in"
            f" {api.rates.policy.window_s} s",
            headers={"Retry-After": str(verdict.reset_s)},
        )  # fmt: skip


class RateHeaders:
    """Middleware that says in each answer what is left of the client's rate; plain ASGI, so that streams pass."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the routes of the API."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get("rate", {}))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _query(request: Request, model: type[BaseModel]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        known = model.model_fields.get(name)
        if known is None:
            raise _no_parameter(name, tuple(model.model_fields))
        if known.json_schema_extra == LISTED:
            listed = found.setdefault(name, [])
            assert isinstance(listed, list)
            listed.append(value)
        elif name in found:
            raise Problem(400, "parameter_given_twice", f"the parameter {name} is there twice")
        else:
            found[name] = value
    return found


LISTED: dict[str, Any] = {"x-repeatable": True}
"""Marks a field of a query that may be given several times."""


def _no_parameter(name: str, known: tuple[str, ...]) -> Problem:
    return Problem(400, "parameter_not_known", f"the parameter {not_known(name, known).reason}", permitted=list(known))


def parsed(model: type[BaseModel], value: object, where: str) -> BaseModel:
    """Return the value as the model; raise Problem with each fault and its place."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    faults = [{"field": ".".join(map(str, each["loc"])), "reason": each["msg"]} for each in found]
    detail = "; ".join(f"{each['field'] or where}: {each['reason']}" for each in faults[:_SHOWN])
    raise Problem(422, "request_invalid", f"the {where} is invalid: {detail}", faults=faults)


_SHOWN = 5


def field_problem(name: str, unfit: UnfitError) -> Problem:
    """Return the problem of one parameter or field that cannot be accepted."""
    fault = {"field": name, "reason": unfit.reason, "permitted": list(unfit.permitted)}
    return Problem(422, "request_invalid", f"{name}: {unfit.reason}", faults=[fault])


def expect_acceptable(request: Request, produced: tuple[str, ...]) -> str:
    """Return the type to answer with: the first that the client accepts; raise Problem when it accepts none."""
    accepted = request.headers.get("accept", "*/*").lower()
    ranges = [each.partition(";") for each in accepted.split(",")]
    refused = {kind.strip() for kind, _, rest in ranges if _is_zero(rest)}
    wanted = [kind.strip() for kind, _, rest in ranges if not _is_zero(rest)]
    for kind in wanted:
        for each in produced:
            if each not in refused and kind in {each, "*/*", each.partition("/")[0] + "/*"}:
                return each
    raise Problem(406, "not_acceptable", f"this is answered as {' or '.join(produced)}")


def _is_zero(parameters: str) -> bool:
    return any(each.strip() in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for each in parameters.split(";"))
