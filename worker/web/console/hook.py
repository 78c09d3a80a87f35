"""Hooks: who receives events, how their deliveries went, and what an administrator does with them."""

from datetime import timedelta
from uuid import UUID

from starlette.responses import Response

from worker.catalog.queries import catalogs
from worker.core.rules import events
from worker.hooks import subscriptions
from worker.hooks.queries import deliveries
from worker.hooks.subscriptions import Secret
from worker.web.api.operations import not_found
from worker.web.console import page, settings
from worker.web.console.fields import Fields
from worker.web.console.page import Visit

_SHOWN = 50
_MISSED = timedelta(days=30)
"""How far back dead letters are sent again together."""


def show(visit: Visit) -> Response:
    """Show a hook with its newest deliveries."""
    with visit.context.database.transaction() as tx:
        found = subscriptions.find(tx, _name(visit))
        shown = deliveries.newest(tx, hook_id=found.id, is_failed=False, limit=_SHOWN)
    return visit.render("hook.html", hook=found, deliveries=shown, public_id=events.public_id, sent=visit.asked("sent"))


def add(visit: Visit, fields: Fields) -> Response:
    """Add a hook; the secret of a URL is shown this once."""
    by = visit.author(fields)
    catalog_id = None if not fields.get("catalog") else _catalog_id(visit, fields["catalog"])
    chosen = [each.value for each in events.SUBSCRIBABLE if f"event-{each.value}" in fields]
    made = subscriptions.add(visit.context.database, by, fields.get("target", ""), chosen, catalog_id=catalog_id)
    return _secret(visit, made)


def rotate(visit: Visit, fields: Fields) -> Response:
    """Make a hook a new secret, which is shown this once."""
    by = visit.author(fields)
    return _secret(visit, subscriptions.rotate(visit.context.database, by, _name(visit), seen=fields.get("seen")))


def send_test(visit: Visit, fields: Fields) -> Response:  # noqa: ARG001 - the form has no fields
    """Have the nodes send a test event."""
    subscriptions.test(visit.context.database, visit.context.author(visit.who), _name(visit))
    return settings.back(visit, "tested")


def enable(visit: Visit, fields: Fields) -> Response:
    """Switch a hook on again."""
    by = visit.author(fields)
    subscriptions.enable(visit.context.database, by, _name(visit))
    return settings.back(visit, "enabled")


def remove(visit: Visit, fields: Fields) -> Response:
    """Remove a hook."""
    by = visit.author(fields)
    subscriptions.remove(visit.context.database, by, _name(visit))
    return settings.back(visit, "removed")


def replay(visit: Visit, fields: Fields) -> Response:
    """Send one delivery again, or all of the last month that the hook did not take."""
    name, database, now = _name(visit), visit.context.database, visit.now
    if fields.get("delivery"):
        count = subscriptions.replay(database, fields["delivery"], now=now)
    else:
        count = subscriptions.replay_failed(database, since=now - _MISSED, hook=name, now=now)
    return page.redirect(visit.request, f"/settings/hooks/{name}?sent={count}")


def _secret(visit: Visit, made: Secret) -> Response:
    if made.secret is None:
        return page.redirect(visit.request, f"/settings/hooks/{made.hook_id}")
    hint = "It is not shown again. Receivers check the signature of each event with it."
    return settings.show(visit, {"title": "Secret of the hook", "value": made.secret, "hint": hint})


def _name(visit: Visit) -> str:
    return str(visit.call.id("hook_id"))


def _catalog_id(visit: Visit, name: str) -> UUID:
    with visit.context.database.transaction() as tx:
        found = catalogs.by_name(tx, name)
    if found is None:
        raise not_found("catalog")
    return found.id
