"""Each request gets an identity, or is refused: closed by default."""

from urllib.parse import urlsplit

from starlette.requests import Request

from worker.web import sessions, tokens
from worker.web.context import WebContext
from worker.web.problems import Forbidden, Unauthenticated
from worker.web.rules import origins
from worker.web.rules.identity import Principal, Right

_HOW = "send `Authorization: Bearer TOKEN`, with a token of `darkroom token create`, or sign in"


def context_of(request: Request) -> WebContext:
    """Return the process's services; a form with its own ids has some of its own."""
    context: WebContext = getattr(request.state, "context", request.app.state.context)
    return context


def principal(request: Request, *needed: Right) -> Principal:
    """Return who sends the request; raises Unauthenticated, and Forbidden when it lacks one of these rights.

    Call it from a handler that runs in a thread: it may ask the database.
    """
    found: Principal | None = getattr(request.state, "principal", None)
    if found is None:
        found = _authenticated(request)
        request.state.principal = found
    for right in needed:
        if not found.may(right):
            raise Forbidden(f"{found.actor} has no right to {right}")
    return found


def is_https(request: Request) -> bool:
    """Return whether browsers reach this server by HTTPS."""
    url = context_of(request).settings.web_url
    return url is not None and urlsplit(url).scheme == "https"


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie; behind HTTPS browsers take it from this host alone."""
    return "__Host-darkroom" if is_https(request) else "darkroom"


def _authenticated(request: Request) -> Principal:
    """Return the identity by the first of a token, a trusted proxy and a session that the request has."""
    if "authorization" in request.headers:
        return _by_token(request)
    settings = context_of(request).settings
    peer = request.client.host if request.client else None
    if origins.is_within(peer, settings.trusted_proxies):
        return _by_proxy(request, request.headers.get(settings.proxy_user_header, ""))
    return _by_session(request)


def _by_token(request: Request) -> Principal:
    scheme, _, secret = request.headers["authorization"].partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated(_HOW)
    context = context_of(request)
    with context.database.transaction() as tx:
        found = tokens.principal_of(tx, secret.strip(), now=context.clock())
    if found is None:
        raise Unauthenticated("the token is not known, has expired or was revoked: see `darkroom token list`")
    return found


def _by_proxy(request: Request, name: str) -> Principal:
    if not name:
        raise Unauthenticated(f"the proxy names no user in {context_of(request).settings.proxy_user_header}")
    with context_of(request).database.transaction() as tx:
        found = sessions.principal_of_user(tx, name)
    if found is None:
        raise Forbidden(f"{name} is no user here, or is disabled: ask an administrator (`darkroom user add`)")
    return found


def _by_session(request: Request) -> Principal:
    secret = request.cookies.get(cookie_name(request))
    if not secret:
        raise Unauthenticated(_HOW)
    context = context_of(request)
    with context.database.transaction() as tx:
        found = sessions.principal_of_session(tx, secret, now=context.clock())
    if found is None:
        raise Unauthenticated("the session has ended: sign in again")
    return found
