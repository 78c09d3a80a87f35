"""Pages with which a person signs in and out."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from worker.core.db.changes import Author
from worker.web import oidc, sessions
from worker.web.authentication import context_of, cookie_name, is_https
from worker.web.console import page
from worker.web.context import WebContext
from worker.web.oidc import Attempt, Client, SignInFailed
from worker.web.queries import identity

_OIDC_COOKIE = "darkroom_oidc"
_OIDC_SECONDS = 600
_LINK_UNKNOWN = "This link was used already, or is older than 15 minutes."


def routes() -> list[BaseRoute]:
    """Return the pages."""
    return [
        Route("/sign-in", _sign_in_page),
        Route("/sign-in/oidc", _begin_oidc),
        Route("/sign-in/oidc/callback", _finish_oidc),
        Route("/sign-in/{secret}", _link_page),
        Route("/sign-in/{secret}", _use_link, methods=["POST"]),
        Route("/sign-out", _sign_out, methods=["POST"]),
    ]


def _sign_in_page(request: Request) -> Response:
    return _signing(request)


def _link_page(request: Request) -> Response:
    """Ask before the link is used up: programs that look at links in messages only read pages."""
    return _signing(request, link=True)


def _use_link(request: Request) -> Response:
    context = context_of(request)
    by = _author_of_sign_in(context)
    with context.database.transaction() as tx:
        started = sessions.sign_in_by_link(tx, request.path_params["secret"], by=by, address=_address(request))
    return _signing(request, said=_LINK_UNKNOWN, status=403) if started is None else _signed_in(request, started.secret)


def _sign_out(request: Request) -> Response:
    context = context_of(request)
    answer = page.redirect(request, "/sign-in")
    if secret := request.cookies.get(cookie_name(request)):
        with context.database.transaction() as tx:
            sessions.end(tx, secret)
        answer.delete_cookie(cookie_name(request), secure=is_https(request), httponly=True, samesite="lax")
    return answer


def _begin_oidc(request: Request) -> Response:
    context = context_of(request)
    client = _client(context)
    if client is None:
        return _signing(request, said="Sign-in through an identity provider is not set up.", status=404)
    try:
        url, attempt = oidc.begin(client)
    except SignInFailed as error:
        return _signing(request, said=str(error), status=502)
    answer = RedirectResponse(url, 303)
    answer.set_cookie(
        _OIDC_COOKIE,
        attempt.dump(),
        max_age=_OIDC_SECONDS,
        path=_oidc_path(context),
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
    return answer


def _finish_oidc(request: Request) -> Response:
    context = context_of(request)
    client, attempt = _client(context), Attempt.parse(request.cookies.get(_OIDC_COOKIE))
    if client is None or attempt is None:
        return _signing(request, said="This sign-in was not begun here: begin again.", status=403)
    now = context.clock()
    try:
        name = oidc.finish(client, attempt, url=f"{client.redirect_uri}?{request.url.query}", now=now)
    except SignInFailed as error:
        return _signing(request, said=str(error), status=403)
    with context.database.transaction() as tx:
        user = identity.find_user(tx, name)
        if user is None or user.disabled_at is not None:
            return _signing(request, said=f"{name} is no user here: ask an administrator.", status=403)
        started = sessions.begin(
            tx, user, by=_author_of_sign_in(context, now), source="oidc", address=_address(request)
        )
    answer = _signed_in(request, started.secret)
    answer.delete_cookie(_OIDC_COOKIE, path=_oidc_path(context))
    return answer


def _signed_in(request: Request, secret: str) -> Response:
    answer = page.redirect(request, page.asked_for(request))
    answer.set_cookie(
        cookie_name(request),
        secret,
        max_age=int(sessions.SESSION_FOR.total_seconds()),
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
    page.forget_asked(answer)
    return answer


def _signing(request: Request, *, link: bool = False, said: str = "", status: int = 200) -> Response:
    has_oidc = _client(context_of(request)) is not None
    return page.template(
        request, "sign_in.html", status=status, title="Sign in", link=link, said=said, has_oidc=has_oidc
    )


def _client(context: WebContext) -> Client | None:
    settings = context.settings
    if settings.oidc_issuer is None or settings.oidc_client_id is None or settings.web_url is None:
        return None
    secret = settings.oidc_client_secret
    return Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret="" if secret is None else secret.get_secret_value(),
        claim=settings.oidc_claim,
        redirect_uri=f"{settings.web_url.rstrip('/')}/sign-in/oidc/callback",
    )


def _oidc_path(context: WebContext) -> str:
    """Return where the browser sends the cookie of a sign-in that it has begun."""
    return f"{page.prefix_of(context.settings)}/sign-in/oidc"


def _author_of_sign_in(context: WebContext, now: datetime | None = None) -> Author:
    """Return the author of a sign-in before it is known who signs in."""
    return Author(actor="web", reason=None, now=now or context.clock(), new_id=context.new_id)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
