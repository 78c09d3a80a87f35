"""Settings: users with their roles, tokens and hooks, and what an administrator does with them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from starlette.responses import Response

from worker.catalog.queries import catalogs
from worker.core.db.changes import Author
from worker.core.rules.batch_request import Priority, deadline, falls_at
from worker.core.rules.events import SUBSCRIBABLE
from worker.core.rules.fault import UnfitError
from worker.core.rules.text import label
from worker.hooks import subscriptions
from worker.hooks.queries import hooks
from worker.web import sessions, tokens
from worker.web.api.operations import field_problem
from worker.web.console import page
from worker.web.console.fields import Fields, whole
from worker.web.console.page import Visit
from worker.web.problems import Forbidden, Problem
from worker.web.queries import identity
from worker.web.rules.identity import ROLES, Right
from worker.web.tokens import IdentityFaulty, TokenRequest

_DONE = {
    "user": "The user is saved; its sessions have ended.",
    "revoked": "The token is worthless from now on.",
    "tested": "A test event is on its way; its outcome stands on the hook's page.",
    "enabled": "The hook is on. What it missed can be sent again from its page.",
    "removed": "The hook is removed; what it was still owed is not delivered.",
}


def show(visit: Visit, secret: Mapping[str, str] | None = None) -> Response:
    """Show the page; ``secret`` is what was made just now and is shown this once: its title, value and hint."""
    with visit.context.database.transaction() as tx:
        users, made_tokens, made_hooks = identity.users(tx), identity.tokens(tx), hooks.all_(tx)
        names = catalogs.names(tx)
    return visit.render(
        "settings.html",
        users=users,
        tokens=made_tokens,
        hooks=made_hooks,
        catalogs=names,
        roles=ROLES,
        rights=list(Right),
        priorities=list(Priority),
        events=SUBSCRIBABLE,
        secret=secret,
        secret_mark=subscriptions.secret_mark,
        did=_DONE.get(visit.asked("did"), ""),
        has_links=_has_links(visit),
    )


def _has_links(visit: Visit) -> bool:
    """Whether people sign in by links: a link is a key to its user, so that it is offered only where it is needed."""
    settings = visit.context.settings
    return not (settings.trusted_proxies or settings.oidc_issuer)


def add_user(visit: Visit, fields: Fields) -> Response:
    """Add a user with its roles."""
    name, by = _label("name", fields), visit.author(fields)
    with _faults(), visit.context.database.transaction() as tx:
        sessions.add_user(tx, by, name=name, roles=_ticked("role", fields))
    return back(visit, "user")


def set_user(visit: Visit, fields: Fields) -> Response:
    """Change the roles of a user, or whether it may act at all; administrators cannot disable or demote themselves."""
    name, roles, is_disabled = fields.get("name", ""), _ticked("role", fields), fields.get("state") == "disabled"
    if name == visit.who.name and (is_disabled or "admin" not in roles):
        raise Problem(409, "conflict", "You would lock yourself out: have another administrator change your roles.")
    with _faults(), visit.context.database.transaction() as tx:
        sessions.set_user(tx, visit.author(fields), name=name, roles=roles, is_disabled=is_disabled)
    return back(visit, "user")


def make_link(visit: Visit, fields: Fields) -> Response:
    """Make a link that signs a user in once; it is shown this once."""
    if not _has_links(visit):
        raise Forbidden("People sign in through a proxy or an identity provider here, and need no link.")
    name = fields.get("name", "")
    with _faults(), visit.context.database.transaction() as tx:
        path = sessions.new_link(tx, visit.context.author(visit.who, "a sign-in link was asked for"), name)
    address = visit.context.settings.web_url or str(visit.request.base_url)
    hint = "It signs its user in once, within 15 minutes. The audit log has who made it."
    return show(visit, {"title": f"Sign-in link of {name}", "value": address.rstrip("/") + path, "hint": hint})


def create_token(visit: Visit, fields: Fields) -> Response:
    """Create a token for the signed-in user with the requested limits; it is shown once."""
    name, by, owner = _label("name", fields), visit.author(fields), fields.get("owner") or None
    if (owner is None) is not bool(fields.get("all_owners")):
        raise Problem(422, "request_invalid", "Say for which owner the token acts, or that it acts for all.")
    # A token for another user would let an administrator be the second person to their own order.
    wanted = TokenRequest(
        name=name,
        user=visit.who.name,
        rights=_rights(fields),
        owner=owner,
        max_priority=_priority(fields),
        credit_cap=whole(fields, "cap", "Most credits"),
        expires_at=_expiry(fields, by),
    )
    with _faults(), visit.context.database.transaction() as tx:
        secret = tokens.create(tx, by, wanted)
    return show(visit, {"title": f"Token {name}", "value": secret, "hint": "It is not shown again: keep it safe."})


def revoke_token(visit: Visit, fields: Fields) -> Response:
    """Make a token worthless at once."""
    with _faults(), visit.context.database.transaction() as tx:
        tokens.revoke(tx, visit.author(fields), fields.get("name", ""))
    return back(visit, "revoked")


def back(visit: Visit, did: str) -> Response:
    """Lead back to the page, which says what was done."""
    return page.redirect(visit.request, f"/settings?did={did}")


@contextmanager
def _faults() -> Iterator[None]:
    """Say on a page what cannot be, and not as a failure of the server."""
    try:
        yield
    except IdentityFaulty as error:
        raise Problem(422, error.error_code, str(error)) from None


def _label(name: str, fields: Fields) -> str:
    try:
        return label(fields.get(name, ""))
    except UnfitError as unfit:
        raise field_problem(name, unfit) from None


def _ticked(name: str, fields: Fields) -> list[str]:
    """Return which boxes of a group are ticked: a form has one field for each, such as ``role-viewer``."""
    return [each.removeprefix(f"{name}-") for each in fields if each.startswith(f"{name}-")]


def _rights(fields: Fields) -> frozenset[Right]:
    found = frozenset(each for each in Right if each in _ticked("right", fields))
    if not found:
        raise Problem(422, "request_invalid", "A token needs a right: tick one at least.")
    return found


def _priority(fields: Fields) -> Priority | None:
    text = fields.get("priority", "")
    try:
        return Priority(text) if text else None
    except ValueError:
        raise Problem(422, "request_invalid", f"There is no priority {text!r}.") from None


def _expiry(fields: Fields, by: Author) -> datetime | None:
    text = fields.get("expires", "")
    try:
        return falls_at(deadline(text), now=by.now) if text else None
    except UnfitError as unfit:
        raise field_problem("expires", unfit) from None
