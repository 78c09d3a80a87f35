"""Actions on many batches or images at once: preview what a filter matches, start it, follow it, stop it."""

from collections.abc import Mapping
from uuid import UUID

from starlette.responses import Response

from worker.batches.queries import bulk_operations
from worker.batches.rules.bulk_operation import BulkAction, OperationState
from worker.catalog.queries import catalogs
from worker.core.rules.batch_request import Priority, Purpose
from worker.web.api import bulk
from worker.web.api.bulk import NewBulkOperation
from worker.web.api.operations import not_found, parsed
from worker.web.console import page
from worker.web.console.page import Visit
from worker.web.rules import wording
from worker.web.rules.identity import Right

_NEWEST = 50
_ITEMS = 100
_WHAT = {
    BulkAction.PAUSE: "Pause",
    BulkAction.RESUME: "Resume",
    BulkAction.CANCEL: "Cancel",
    BulkAction.RETRY: "Retry the failed jobs of",
    BulkAction.REPRIORITISE: "Reprioritise",
    BulkAction.DECIDE: "Decide on",
}
_VERDICTS = {"accept": "Accept", "reject": "Reject"}
_AS_ORDERED = {"yes": True, "no": False}
_FILTER = ("owner", "name", "purpose", "priority")


def show(visit: Visit) -> Response:
    """Show the newest operations, and the form of a new one."""
    with visit.context.database.transaction() as tx:
        found = bulk_operations.newest(tx, owner=None, limit=_NEWEST)
        names = catalogs.names(tx)
    return visit.render(
        "operations.html",
        operations=found,
        purposes=list(Purpose),
        priorities=list(Priority),
        catalogs=names,
        catalog=visit.asked("catalog"),
    )


def create(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Freeze what the filter matches, and lead to its preview."""
    asked: dict[str, object] = {name: fields[name] for name in _FILTER if fields.get(name)}
    # A day begins at midnight in UTC, as with the commands.
    asked |= {name: f"{fields[name]}T00:00:00Z" for name in ("since", "before") if fields.get(name)}
    body = {
        "action": fields.get("action", ""),
        "filter": {**asked, **({"all": True} if fields.get("all") else {})},
        "reason": fields.get("reason") or None,
        "priority": fields.get("to") or None,
        "weight": fields.get("weight") or None,
        "code": fields.get("code") or None,
    }
    return _create(visit, body)


def decide(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Freeze the undecided images that the filter matches, and lead to their preview."""
    asked: dict[str, object] = {name: fields[name] for name in ("catalog", "sku", "plan") if fields.get(name)}
    if fields.get("as_ordered") in _AS_ORDERED:
        asked["as_ordered"] = _AS_ORDERED[fields["as_ordered"]]
    body = {
        "action": "decide",
        "filter": {**asked, **({"all": True} if fields.get("all") else {})},
        "reason": fields.get("reason") or None,
        "verdict": fields.get("verdict") or None,
    }
    return _create(visit, body)


def _create(visit: Visit, body: Mapping[str, object]) -> Response:
    wanted = parsed(NewBulkOperation, body, "form")
    assert isinstance(wanted, NewBulkOperation)
    made = bulk.create(visit.call, wanted)
    return page.redirect(visit.request, f"/operations/{made['id']}")


def show_one(visit: Visit) -> Response:
    """Show an operation: its filter, its progress, and the outcome for each batch."""
    after = visit.asked("after")
    with visit.context.database.transaction() as tx:
        found = bulk_operations.read(tx, visit.call.id("operation_id"))
        if found is None:
            raise not_found("operation")
        items = bulk_operations.items(tx, found.id, after=int(after) if after.isdecimal() else 0, limit=_ITEMS + 1)
    is_decision = found.action is BulkAction.DECIDE
    return visit.render(
        "operation.html",
        operation=found,
        what=_VERDICTS.get(found.parameters.get("verdict", ""), _WHAT[found.action]),
        count=wording.plural(found.items, *(("image",) if is_decision else ("batch", "batches"))),
        is_decision=is_decision,
        may_change=visit.who.may(Right.REVIEW if is_decision else Right.CONTROL),
        items=items[:_ITEMS],
        next=items[_ITEMS - 1].position if len(items) > _ITEMS else None,
        is_first=not after,
        is_open=found.state in {OperationState.PREVIEWED, OperationState.RUNNING},
    )


def start(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Do the previewed action."""
    return _to(visit, bulk.start(visit.call)["id"])


def cancel(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Stop the operation."""
    return _to(visit, bulk.cancel(visit.call)["id"])


def _to(visit: Visit, operation_id: UUID | str) -> Response:
    return page.redirect(visit.request, f"/operations/{operation_id}")
