"""Accounts at the provider: how each stands, what an operator does with it, and which owners use which."""

from starlette.responses import Response

from worker import wiring
from worker.accounts import binding, choosing, control
from worker.accounts.queries import account_limits, pools
from worker.core.rules.fault import UnfitError
from worker.core.rules.text import label
from worker.node.queries import nodes
from worker.web.api.operations import field_problem, not_found
from worker.web.console import page
from worker.web.console.fields import Fields
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import batch_list

_DONE = {
    "paused": "The account is paused: nothing more is begun, and what is at the provider is downloaded.",
    "resumed": "The account works again. A cause that persists pauses it again.",
    "limited": "The limits are set and in force.",
    "same": "The key is taken as one of the same account at the provider. Nodes that refused it can be started again.",
    "owned": "It is set, for batches that are submitted from now on and name neither account nor pool.",
}
_RATE_MOST, _WINDOW_MOST = 100_000, 100_000
"""As the command has them."""


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        found = [account_limits.view(tx, name, now=visit.now) for name in account_limits.names(tx)]
        running = nodes.read_all(tx)
        owners, known, offered = pools.every_usual(tx), batch_list.owners(tx), pools.names(tx)
    settings = visit.context.settings
    keyed = {each.account for each in settings.each_account if each.api_key is not None}
    return visit.render(
        "accounts/overview.html",
        accounts=found,
        nodes=running,
        owners=owners,
        known_owners=sorted({*known, *owners}),
        pools=offered,
        keyed=keyed,
        did=_DONE.get(visit.asked("did"), ""),
    )


def pause(visit: Visit, fields: Fields) -> Response:
    """Stop paid work."""
    control.pause(visit.context.database, _name(visit, fields), visit.author(fields))
    return _back(visit, "paused")


def resume(visit: Visit, fields: Fields) -> Response:
    """Let paid work go on, whatever it was paused for."""
    control.resume(visit.context.database, _name(visit, fields), visit.author(fields))
    return _back(visit, "resumed")


def limit(visit: Visit, fields: Fields) -> Response:
    """Set the rates and the window; an empty rate is learned, an empty read rate shared."""
    window = fields.get("max_in_flight", "").replace(",", "")
    if not (window.isascii() and window.isdigit() and 0 < int(window) <= _WINDOW_MOST):
        raise Problem(422, "request_invalid", f"In flight: a whole number from 1 to {_WINDOW_MOST:,}.")
    control.set_limits(
        visit.context.database,
        _name(visit, fields),
        visit.author(fields),
        rate=_rate("Requests a second", fields.get("rate", "")) or "auto",
        read_rate=_rate("Reads a second", fields.get("read_rate", "")) or account_limits.SHARED,
        max_in_flight=int(window),
    )
    return _back(visit, "limited")


def same_key(visit: Visit, fields: Fields) -> Response:
    """Take a person's word that the key which this process has is of the same account at the provider as before."""
    name = _name(visit, fields)
    own = visit.context.settings.of_account(name)
    if own is None or own.api_key is None:
        raise Problem(503, "no_key", "This process has no key of the account: start it with the new key.")
    if not fields.get("reason"):
        raise Problem(422, "request_invalid", "Say how you know that both keys are of one account.")
    with visit.context.database.transaction() as tx:
        account_id = pools.by_name(tx, name)
    assert account_id is not None
    binding.same_key(visit.context.database, account_id, wiring.place(own), visit.author(fields))
    return _back(visit, "same")


def set_usual(visit: Visit, fields: Fields) -> Response:
    """Set which account, or which pool, pays for an owner's batches that name neither."""
    try:
        owner = label(fields.get("owner", ""))
    except UnfitError as unfit:
        raise field_problem("owner", unfit) from None
    kind, _, name = fields.get("pays", "").partition(":")
    if kind not in {"", "account", "pool"}:
        raise Problem(422, "request_invalid", "Choose an account, a pool, or neither.")
    with visit.context.database.transaction() as tx:
        choosing.set_usual(
            tx,
            owner,
            account=name if kind == "account" else None,
            pool=name if kind == "pool" else None,
            by=visit.author(fields),
        )
    return _back(visit, "owned")


def _rate(what: str, text: str) -> float | None:
    try:
        found = float(text) if text else None
    except ValueError:
        found = 0
    if found is not None and not 0 < found <= _RATE_MOST:
        raise Problem(422, "request_invalid", f"{what}: a number above 0 and up to {_RATE_MOST:,}, or nothing.")
    return found


def _name(visit: Visit, fields: Fields) -> str:
    name = fields.get("account", "")
    with visit.context.database.transaction() as tx:
        if name not in account_limits.names(tx):
            raise not_found("account")
    return name


def _back(visit: Visit, did: str) -> Response:
    return page.redirect(visit.request, f"/accounts?did={did}")
