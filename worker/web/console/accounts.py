"""Accounts at the provider: how each stands, and what an operator does: pause, resume, and set its limits."""

from collections.abc import Mapping

from starlette.responses import Response

from worker.accounts import control
from worker.accounts.queries import account_limits
from worker.core.db.changes import Author
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.page import Visit
from worker.web.problems import Problem

Fields = Mapping[str, str]

_DONE = {
    "paused": "The account is paused: nothing more is begun, and what is at the provider is downloaded.",
    "resumed": "The account goes on. A cause that lasts pauses it again.",
    "limited": "The limits are set and in force.",
}
_RATE_MOST, _WINDOW_MOST = 100_000, 100_000
"""As the command has them."""


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        found = [account_limits.view(tx, name, now=visit.now) for name in account_limits.names(tx)]
    return visit.render("accounts.html", accounts=found, did=_DONE.get(visit.asked("did"), ""))


def pause(visit: Visit, fields: Fields) -> Response:
    """Stop paid work."""
    control.pause(visit.context.database, _name(visit, fields), _author(visit, fields))
    return _back(visit, "paused")


def resume(visit: Visit, fields: Fields) -> Response:
    """Let paid work go on, whatever it was paused for."""
    control.resume(visit.context.database, _name(visit, fields), _author(visit, fields))
    return _back(visit, "resumed")


def limit(visit: Visit, fields: Fields) -> Response:
    """Set the rates and the window; an empty rate is learned, an empty read rate shared."""
    window = fields.get("max_in_flight", "").replace(",", "")
    if not (window.isascii() and window.isdigit() and 0 < int(window) <= _WINDOW_MOST):
        raise Problem(422, "request_invalid", f"In flight: a whole number from 1 to {_WINDOW_MOST:,}.")
    control.set_limits(
        visit.context.database,
        _name(visit, fields),
        _author(visit, fields),
        rate=_rate("Requests a second", fields.get("rate", "")) or "auto",
        read_rate=_rate("Reads a second", fields.get("read_rate", "")) or account_limits.SHARED,
        max_in_flight=int(window),
    )
    return _back(visit, "limited")


def _rate(what: str, text: str) -> float | None:
    try:
        found = float(text) if text else None
    except ValueError:
        found = 0
    if found is not None and not 0 < found <= _RATE_MOST:
        raise Problem(422, "request_invalid", f"{what}: a number above 0 and up to {_RATE_MOST:,}, or nothing.")
    return found


def _author(visit: Visit, fields: Fields) -> Author:
    return visit.context.author(visit.who, fields.get("reason") or None)


def _name(visit: Visit, fields: Fields) -> str:
    name = fields.get("account", "")
    with visit.context.database.transaction() as tx:
        if name not in account_limits.names(tx):
            raise not_found("account")
    return name


def _back(visit: Visit, did: str) -> Response:
    return page.redirect(visit.request, f"/accounts?did={did}")
