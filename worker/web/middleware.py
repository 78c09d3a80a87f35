"""What every answer of the web process has in common: no foreign page's requests, and headers that forbid much.

Both are plain ASGI, so that streams pass through them as they come.
"""

import secrets
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.core import tracing
from worker.web import problems
from worker.web.rules import origins

OwnOrigin = Callable[[Scope], str]


class RefuseForeignRequests:
    """Refuse a request that changes something and that another site's page may have sent (CSRF).

    A request with a token in its Authorization header is a program's: no browser adds that by itself.
    """

    def __init__(self, app: ASGIApp, *, own: str | None, exempt: tuple[str, ...] = ()) -> None:
        """Guard the application; ``own`` is its public origin, None: that of the Host header; ``exempt`` are paths."""
        self._app, self._own, self._exempt = app, own, exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and self._is_foreign(scope):
            answer = problems.response(403, "foreign_request", "this request was sent by a page of another site")
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if scope["path"].startswith(self._exempt) or headers.get("authorization", "").lower().startswith("bearer "):
            return False
        own = self._own or f"{scope['scheme']}://{headers.get('host', '')}".lower()
        return not origins.is_own(
            scope["method"], site=headers.get("sec-fetch-site"), origin=headers.get("origin"), own=own
        )


class TraceRequests:
    """A span for each request, below that of the client; probes and metrics have none."""

    def __init__(self, app: ASGIApp, *, untraced: frozenset[str]) -> None:
        """Trace all but some paths."""
        self._app, self._untraced = app, untraced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span, which is named by the route once that is known."""
        if not tracing.is_on() or scope["type"] != "http" or scope["path"] in self._untraced:
            await self._app(scope, receive, send)
            return
        # Not the query: it may hold a token of a link that signs in.
        named = {"http.request.method": scope["method"], "url.path": scope["path"], "url.scheme": scope["scheme"]}
        parent = Headers(scope=scope).get("traceparent")
        with tracing.begun(f"{scope['method']}", named, kind="server", parent=parent) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set({"http.response.status_code": message["status"]})
                    if message["status"] >= _SERVER_ERROR:
                        span.fail(str(message["status"]))
                await send(message)

            await self._app(scope, receive, send_and_note)


_SERVER_ERROR = 500


class ForbidMuch:
    """Set headers that bind the browser: our own scripts and styles alone, no frames, no cache, no referrer."""

    def __init__(self, app: ASGIApp) -> None:
        """Guard the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a nonce for its page in ``request.state.nonce``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _headers(nonce).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self';"
            " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
