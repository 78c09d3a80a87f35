"""What every page of the console has in common: who looks, the frame around it, and errors that a person can read."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from worker.core.db.changes import Author
from worker.core.rules.errors import DarkroomError
from worker.settings import Settings
from worker.web import problems
from worker.web.api import bodies, submit
from worker.web.api.bodies import Upload
from worker.web.api.operations import Api, Call
from worker.web.authentication import context_of, is_https, principal
from worker.web.console import assets
from worker.web.context import WebContext
from worker.web.problems import Forbidden, Problem, Unauthenticated
from worker.web.rules import form_ids, origins, wording
from worker.web.rules.identity import Principal, Right

HTMX_CONFIG = '{"extensions": "hx-csp", "noSwap": [204, 304, "4xx", "5xx"], "includeIndicatorCSS": false}'
"""An answer that is an error replaces nothing that is on the page."""

_FORM_BYTES = 64 << 10
_FORM_FIELDS = 50
_templates = Environment(
    loader=PackageLoader("worker.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _with_code(said: str) -> Markup:
    """Return a sentence with what stands between backquotes as code."""
    pieces = [f"<code>{escape(each)}</code>" if at % 2 else escape(each) for at, each in enumerate(said.split("`"))]
    return Markup("").join(Markup(each) for each in pieces)  # noqa: S704 - each piece is escaped


def _sentence(said: str) -> Markup:
    """Return what begins with a small letter as a whole sentence."""
    return _with_code(f"{said[:1].upper()}{said[1:].removesuffix('.')}.")


_templates.filters |= {
    "code": _with_code,
    "sentence": _sentence,
    "number": wording.number,
    "rate": wording.rate,
    "span": wording.span,
    "brief": wording.brief,
    "instant": wording.instant,
    "plural": wording.plural,
}
_templates.globals |= {"percent": wording.percent, "segments": wording.segments, "htmx_config": HTMX_CONFIG}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the navigation."""

    path: str
    label: str
    icon: str
    right: Right = Right.READ


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of a person who is signed in and may see the page."""

    request: Request
    who: Principal
    now: datetime

    @property
    def context(self) -> WebContext:
        """The parts of the process."""
        return context_of(self.request)

    @property
    def call(self) -> Call:
        """The same request as the operations of the HTTP API take it."""
        api: Api = self.request.app.state.api
        return Call(request=self.request, api=api, principal=self.who)

    @property
    def is_fragment(self) -> bool:
        """Whether the page that is shown asks for a part of itself."""
        return self.request.headers.get("hx-request") == "true"

    def asked(self, name: str) -> str:
        """Return a parameter of the address without the space around it; empty when there is none."""
        return self.request.query_params.get(name, "").strip()

    def author(self, fields: Mapping[str, str]) -> Author:
        """Return who sends a form as the author of what it changes, with the reason that it has."""
        return self.context.author(self.who, fields.get("reason") or None)

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render a template of the console."""
        text = _templates.get_template(f"console/{template}").render(**self._frame(), **values)
        return HTMLResponse(_FORM.sub(self._named, text), status)

    def _named(self, form: re.Match[str]) -> str:
        """Return the tag of a form with its name; files are sent by forms that have other means against copies."""
        if "multipart/" in form[0]:
            return form[0]
        return (
            f'{form[0]}<input type="hidden" name="{form_ids.FIELD}" value="{self.request.app.state.context.new_id()}">'
        )

    def _frame(self) -> dict[str, Any]:
        return {
            **frame(self.request),
            "who": self.who,
            "may": lambda right: self.who.may(Right(right)),
            "now": self.now,
            "ago": partial(wording.ago, now=self.now),
            "until": partial(wording.until, now=self.now),
            "entries": [each for each in _entries if self.who.may(each.right)],
            "here": _path(self.request),
            "with_query": self.with_query,
            "account": self.context.settings.account,
        }

    def with_query(self, **changed: object) -> str:
        """Return the query of this address with some parameters changed; None removes one."""
        kept = {name: value for name, value in self.request.query_params.items() if name not in changed}
        added = {name: str(value) for name, value in changed.items() if value not in {None, ""}}
        return f"?{urlencode({**kept, **added})}"


_entries: list[Entry] = []


def navigation(entries: Sequence[Entry]) -> None:
    """Set the entries of the navigation; a page that is not built has none."""
    _entries[:] = entries


def prefix_of(settings: Settings) -> str:
    """Return the path below which a proxy serves this process, without a slash at its end; mostly empty."""
    return "" if settings.web_url is None else urlsplit(settings.web_url).path.rstrip("/")


def _path(request: Request) -> str:
    path, prefix = request.url.path, prefix_of(context_of(request).settings)
    return path.removeprefix(prefix) if prefix else path


def frame(request: Request) -> dict[str, Any]:
    """Return what the frame of a page needs whether or not anybody is signed in."""
    prefix = prefix_of(context_of(request).settings)
    return {
        "nonce": request.state.nonce,
        "url": lambda path: f"{prefix}/{path.lstrip('/')}",
        "asset": lambda name: prefix + assets.address(name),
    }


def template(request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
    """Render a page without a sign-in."""
    return HTMLResponse(_templates.get_template(name).render(**frame(request), **values), status)


def redirect(request: Request, path: str) -> Response:
    """Send the browser to another page of ours; ``path`` begins with a slash."""
    return RedirectResponse(f"{prefix_of(context_of(request).settings)}/{path.lstrip('/')}", 303)


Handler = Callable[[Visit], Response]


def page(path: str, handler: Handler, right: Right = Right.READ, *, method: str = "GET") -> Route:
    """Route a path to a page that takes this right; the handler runs in a thread."""

    def endpoint(request: Request) -> Response:
        try:
            who = _person(request, right)
        except Unauthenticated:
            return _to_sign_in(request)
        except Forbidden as error:
            return _refused(request, 403, "Not for you", error.detail)
        visit = Visit(request=request, who=who, now=context_of(request).clock())
        try:
            return handler(visit)
        except IntegrityError as error:
            if not (hasattr(request.state, "context") and isinstance(error.orig, UniqueViolation)):
                raise
            return visit.render("error.html", status=409, title=_title(409), said=_SENT_BEFORE)
        except Problem as error:
            return visit.render("error.html", status=error.status, title=_title(error.status), said=error.detail)
        except DarkroomError as error:
            status = problems.status_of(error)
            return visit.render("error.html", status=status, title=_title(status), said=error.explanation())

    return Route(path, endpoint, methods=[method])


FormHandler = Callable[[Visit, Mapping[str, str]], Response]


def form(path: str, handler: FormHandler, right: Right) -> Route:
    """Route a form of one of our pages to a handler that takes its fields and mostly leads back to the page."""

    async def endpoint(request: Request) -> Response:
        context = context_of(request)
        try:
            pieces = [each async for each in bodies.chunks(request, context.limits, most_bytes=_FORM_BYTES)]
        except Problem as error:
            return _refused(request, error.status, _title(error.status), error.detail)
        text = b"".join(pieces).decode("utf-8", "replace")
        try:
            sent = parse_qsl(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS)
        except ValueError:
            return _refused(request, 400, _title(400), f"A form has at most {_FORM_FIELDS} fields.")
        fields = {name: value.strip().replace("\0", "").replace("\r\n", "\n") for name, value in sent}
        name = fields.pop(form_ids.FIELD, "")

        def take(visit: Visit) -> Response:
            _send_once(visit, name)
            return handler(visit, fields)

        route = page(path, take, right, method="POST")
        return await run_in_threadpool(route.endpoint, request)

    return Route(path, endpoint, methods=["POST"])


_FORM = re.compile(r'<form[^>]* method="post"[^>]*>')
_SENT_BEFORE = (
    "This form was sent before, and what it asks for was done once. To do it again, load its page and send it anew."
)


def _send_once(visit: Visit, name: str) -> None:
    """Have what the form writes get ids that follow from its name, so that a copy of it is refused by the database."""
    if not name:
        return
    try:
        form_id = UUID(name)
    except ValueError:
        raise Problem(
            400, "bad_request", "The form has a name that no page has given it: load its page again."
        ) from None
    new_id = form_ids.new_ids(form_id, actor=visit.who.actor, path=visit.request.url.path)
    visit.request.state.context = replace(visit.context, new_id=new_id)


UploadHandler = Callable[[Visit, Upload], Response]


def upload(path: str, handler: UploadHandler, right: Right, *, takes_fields: bool = False) -> Route:
    """Route a form with files to a handler that finds them on the disk; who sends it is looked up before it is read.

    ``takes_fields``: the form has further fields, which are in ``Upload.fields``.
    """

    async def take(call: Call) -> Response:
        bodies.boundary_of(call.request)
        with call.api.uploads.taking(call.principal.actor):
            async with submit.received(call, takes_fields=takes_fields) as sent:
                route = page(path, lambda visit: handler(visit, sent), right, method="POST")
                answer: Response = await run_in_threadpool(route.endpoint, call.request)
                return answer

    return stream(path, take, right, method="POST")


Stream = Callable[[Call], Awaitable[Response]]


def stream(path: str, handler: Stream, right: Right = Right.READ, *, method: str = "GET") -> Route:
    """Route a path to a handler that takes a body, or offers a file, as a stream."""

    async def endpoint(request: Request) -> Response:
        api: Api = request.app.state.api
        try:
            who = await run_in_threadpool(_person, request, right)
            return await handler(Call(request=request, api=api, principal=who))
        except Unauthenticated:
            return _to_sign_in(request)
        except Problem as error:
            return _refused(request, error.status, _title(error.status), error.detail)
        except DarkroomError as error:
            status = problems.status_of(error)
            return _refused(request, status, _title(status), error.explanation())

    return Route(path, endpoint, methods=[method])


def _person(request: Request, right: Right) -> Principal:
    """Return who looks; a token that is bound to one owner would see the others' figures."""
    who = principal(request, right)
    if who.owner is not None:
        raise Forbidden(f"{who.actor} acts for {who.owner} alone: the console shows all owners, use the HTTP API")
    return who


_ASKED_COOKIE = "darkroom_asked"
_ASKED_SECONDS = 900
"""As long as a link signs in."""


def _to_sign_in(request: Request) -> Response:
    answer = redirect(request, "/sign-in")
    is_fragment = request.headers.get("hx-request") == "true"
    if is_fragment:
        # A fragment that followed the redirect would put the sign-in page into the middle of the old one.
        answer = Response(status_code=401, headers={"HX-Redirect": answer.headers["location"]})
    if request.method == "GET" and (is_fragment or "text/html" in request.headers.get("accept", "")):
        _remember_asked(request, answer)
    return answer


def _remember_asked(request: Request, answer: Response) -> None:
    """Keep which page is asked for in a cookie: the link that signs in comes from elsewhere and cannot carry it."""
    query = f"?{request.url.query}" if request.url.query else ""
    answer.set_cookie(
        _ASKED_COOKIE,
        quote(_path(request) + query, safe=""),
        max_age=_ASKED_SECONDS,
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )


def asked_for(request: Request) -> str:
    """Return the page requested before the sign-in, if it is one of ours, else the home page."""
    return origins.own_path(unquote(request.cookies.get(_ASKED_COOKIE, ""))) or "/"


def forget_asked(answer: Response) -> None:
    """Delete the cookie of the requested page."""
    answer.delete_cookie(_ASKED_COOKIE)


def without_slash(request: Request) -> Response:
    """Lead from an address with a slash at its end to the one without."""
    query = f"?{request.url.query}" if request.url.query else ""
    return redirect(request, quote(_path(request).rstrip("/")) + query)


_TITLES = {403: "Not for you", 404: "There is no such page", 409: "That cannot be done now", 503: "Not available now"}


def _title(status: int) -> str:
    return _TITLES.get(status, "That did not work")


def _refused(request: Request, status: int, title: str, said: str) -> Response:
    return template(request, "refused.html", status=status, title=title, said=said)


def not_found(request: Request) -> Response:
    """Answer an address that is no page of ours."""
    return _refused(
        request, 404, _title(404), "The address is not one of Darkroom's. Check it, or begin at the home page."
    )
