"""The application of the web process: its routes, and what each answer has in common."""

from http import HTTPStatus
from urllib.parse import urlsplit

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from worker.core.rules.errors import DarkroomError
from worker.metrics import collector
from worker.settings import Settings
from worker.web import observability, problems, receiver, sign_in
from worker.web.api import routes as api_routes
from worker.web.api.operations import Api
from worker.web.console import page
from worker.web.console import routes as console_routes
from worker.web.context import WebContext
from worker.web.middleware import ForbidMuch, RefuseForeignRequests, TraceRequests
from worker.web.observability import LOCAL_HOSTS, KnownHosts
from worker.web.problems import Problem
from worker.web.rules import origins

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
