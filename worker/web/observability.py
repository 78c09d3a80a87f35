"""Metrics and probes of the web process: /metrics, /healthz and /readyz.

Probes come from machines that call this one by its address, so these paths are served under whatever host name.
"""

from typing import Any

from prometheus_client.exposition import choose_encoder
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from worker.core.rules.errors import first_line
from worker.web.authentication import context_of, principal
from worker.web.rules import origins
from worker.web.rules.identity import Right

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""What proxies add: the peer's address is then not the client's."""
_TIMEOUT = text("SELECT set_config('statement_timeout', '2s', true)")


class KnownHosts(TrustedHostMiddleware):
    """Refuse host names that are not this server's, but for metrics and probes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 400."""
        passes = scope["type"] == "http" and scope["path"] in PATHS
        await (self.app if passes else super().__call__)(scope, receive, send)


def routes() -> list[BaseRoute]:
    """Return the three paths."""
    return [Route("/healthz", _alive), Route("/readyz", _ready), Route("/metrics", _metrics)]


async def _alive(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse({"status": "alive"})


def _ready(request: Request) -> Response:
    """Answer 503 while the database does not answer: nothing can be served then."""
    try:
        with context_of(request).database.transaction() as tx:
            tx.execute(_TIMEOUT)
    except SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        return JSONResponse({"status": "database", "detail": reason}, status_code=503)
    return JSONResponse({"status": "ready", "detail": "the database answers"})


async def _metrics(request: Request) -> Response:
    if not _is_local(request):
        await run_in_threadpool(principal, request, Right.READ)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    registry: Any = request.app.state.registry
    return Response(await run_in_threadpool(encode, registry), headers={"Content-Type": content_type})


def _is_local(request: Request) -> bool:
    """Return whether the request is made on this machine: not through a proxy, nor by a page of another host's name."""
    settings = context_of(request).settings
    peer = request.client.host if request.client else ""
    names = (*_FORWARDED, settings.proxy_user_header.lower(), "authorization")
    return (
        origins.is_loopback(peer)
        and not origins.is_within(peer, settings.trusted_proxies)
        and not any(name in request.headers for name in names)
        and origins.has_host(request.headers.get("host", ""), LOCAL_HOSTS)
    )
