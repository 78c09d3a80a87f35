"""The web process: its application, and the one uvicorn that no slow or silent client can hold."""

import asyncio
import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import psycopg
import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker import wiring
from worker.core.rules.errors import DarkroomError
from worker.metrics import collector
from worker.settings import Settings
from worker.web import observability, problems, receiver, sign_in
from worker.web.api import routes as api_routes
from worker.web.api.operations import Api
from worker.web.console import page
from worker.web.console import routes as console_routes
from worker.web.context import WebContext
from worker.web.limits import ApiLimits
from worker.web.middleware import ForbidMuch, RefuseForeignRequests, TraceRequests
from worker.web.observability import LOCAL_HOSTS, KnownHosts
from worker.web.problems import Problem
from worker.web.rules import origins

log = structlog.get_logger(__name__)

CONNECTIONS = 20
"""To the database; a handler waits for one."""
HEADERS_WITHIN_S = 10.0
"""From the connection, or the last answer, to the end of a request's headers."""
HEADER_BYTES = 64 * 1024
OPEN_MOST = 2_000
"""Connections at once; a further one is answered 503."""
GRACE_S = 10
"""How long requests in progress may take when the process is told to end."""


class ListensTooWide(DarkroomError):
    """The server would be reached from other machines without authenticating users."""

    error_code = "listens_too_wide"
    exit_code = 2


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 whose client has to send its headers within a deadline: uvicorn has no timeout for them."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the headers."""
        super().connection_made(transport)
        self._await_headers()

    def handle_events(self) -> None:
        """Stop waiting once the headers are complete."""
        super().handle_events()
        if self._deadline is not None and self.cycle is not None and not self.cycle.response_complete:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADERS_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """A server that ends its open event streams at shutdown, as they would use up the grace period."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then serve what is in progress to its end."""
        app = self.config.app
        assert isinstance(app, Starlette)
        await asyncio.to_thread(app.state.api.feed.close)
        await super().shutdown(sockets)


def check_listening(settings: Settings, host: str) -> None:
    """Raise ListensTooWide where other machines could connect and no proxy or identity provider tells who they are."""
    if origins.is_loopback(host) or settings.trusted_proxies:
        return
    if settings.oidc_issuer and settings.oidc_client_id and settings.web_url:
        return
    raise ListensTooWide(
        f"{host} is reached from other machines: set DARKROOM_WEB_TRUSTED_PROXIES, or DARKROOM_OIDC_ISSUER,"
        " DARKROOM_OIDC_CLIENT_ID and DARKROOM_WEB_URL, or listen on 127.0.0.1"
    )


def context(settings: Settings) -> WebContext:
    """Open what handlers work with."""
    answer_s = settings.database_timeout.total_seconds()
    database = wiring.database(settings, connections=CONNECTIONS, answer_s=answer_s)
    account_id = wiring.account(settings, database)
    wiring.clock.keep()
    return WebContext(
        settings=settings,
        database=database,
        store=wiring.store(settings, database),
        account_id=account_id,
        clock=wiring.clock,
        new_id=wiring.new_id,
        limits=ApiLimits.of(settings),
    )


def config(opened: WebContext) -> uvicorn.Config:
    """Return how uvicorn serves, but for the address."""
    return uvicorn.Config(
        create_app(opened),
        http=ImpatientProtocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        limit_concurrency=OPEN_MOST,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=int(HEADERS_WITHIN_S),
        timeout_graceful_shutdown=GRACE_S,
    )


def serve(opened: WebContext, *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in progress have their grace. Raises ListensTooWide."""
    check_listening(opened.settings, host)
    chosen = config(opened)
    chosen.host, chosen.port = host, port
    log.info("web.started", host=host, port=port)
    Server(chosen).run()
    log.info("web.stopped")


_NOT_FOR_BROWSERS = ("/webhooks/",)
"""Paths that authenticate each request by themselves and that no session counts for."""


def create_app(context: WebContext) -> Starlette:
    """Put the application together."""
    settings = context.settings
    api = Api(context)
    own = None if settings.web_url is None else origins.origin_of(settings.web_url)
    app = Starlette(
        routes=[*_routes(), *receiver.routes(context.database, context.clock)],
        lifespan=api.lifespan,
        middleware=[
            Middleware(TraceRequests, untraced=observability.PATHS),
            Middleware(ForbidMuch),
            Middleware(KnownHosts, allowed_hosts=_hosts(settings), www_redirect=False),
            Middleware(RefuseForeignRequests, own=own, exempt=_NOT_FOR_BROWSERS),
        ],
        exception_handlers={
            Problem: problems.on_problem,
            DarkroomError: problems.on_darkroom_error,
            HTTPException: _on_http_error,
            SQLAlchemyError: problems.on_database_error,
            psycopg.Error: problems.on_database_error,
            Exception: problems.on_unforeseen,
        },
    )
    # Its own redirect knows neither our public address nor the path below which a proxy serves us.
    app.router.redirect_slashes = False
    app.state.context, app.state.api = context, api
    app.state.registry = collector.registry(context.database, context.clock)
    return app


def _routes() -> list[BaseRoute]:
    return [*observability.routes(), api_routes.mount(), *sign_in.routes(), *console_routes.routes()]


def _hosts(settings: Settings) -> list[str]:
    """Return the names by which this server may be called: a page of another name may not point its own here."""
    public = None if settings.web_url is None else urlsplit(settings.web_url).hostname
    return [*LOCAL_HOSTS, *([public] if public else [])]


def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer an address that a browser asks for and that is no page with a page."""
    is_missing = isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND
    is_of_browser = "text/html" in request.headers.get("accept", "")
    if is_missing and request.method in {"GET", "HEAD"} and request.url.path.rstrip("/") != request.url.path != "/":
        return page.without_slash(request)
    if is_missing and is_of_browser and not request.url.path.startswith("/api/"):
        return page.not_found(request)
    return problems.on_http_error(request, error)
