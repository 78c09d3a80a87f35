"""Bulk operations over HTTP: preview an action on all batches that match, start it, follow it, stop it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from worker import wiring
from worker.batches import bulk_operations, bulk_views
from worker.batches.actions import Order
from worker.batches.queries import bulk_operations as rows
from worker.batches.queries.bulk_operations import OperationRow
from worker.batches.rules.selection import Selection
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.states import BatchAction
from worker.web.api.bulk_schemas import BulkFilter, ItemQuery, NewBulkOperation, OperationQuery
from worker.web.api.operations import Call, not_found
from worker.web.problems import Forbidden, Problem

HERE = timedelta(seconds=2)
"""How long an operation is worked on before its request is answered; nodes do the rest."""


def create(call: Call, body: NewBulkOperation) -> dict[str, Any]:
    """Keep the batches that match, with what the action would reach; nothing is done before it is started."""
    if body.action == "reprioritise" and body.priority is None and body.weight is None:
        raise Problem(422, "request_invalid", "the body has neither priority nor weight")
    if body.priority is not None and not call.principal.may_ask_for(Priority(body.priority)):
        raise Forbidden(f"{call.principal.actor} may ask for the priority {call.principal.max_priority} at most")
    order = Order(
        action=BatchAction(body.action),
        author=call.author(body.reason),
        priority=None if body.priority is None else Priority(body.priority),
        weight=body.weight,
        code=body.code,
    )
    return bulk_views.operation(bulk_operations.create(call.database, order, _selection(call, body.filter)))


def _selection(call: Call, asked: BulkFilter) -> Selection:
    """Read the filter; what acts for one owner means that owner's batches, whatever it asks for."""
    own = call.principal.owner
    if own is not None and asked.owner not in {None, own}:
        raise Forbidden(f"{call.principal.actor} acts for the owner {own}")
    found = Selection(
        owner=asked.owner,
        name=asked.name,
        purpose=None if asked.purpose is None else Purpose(asked.purpose),
        priority=None if asked.priority is None else Priority(asked.priority),
        since=asked.since,
        before=asked.before,
    )
    if found.is_empty != asked.all:
        raise Problem(422, "request_invalid", 'the filter must name a condition, or else be {"all": true}')
    return found if own is None else Selection(**{**vars(found), "owner": own})


def list_operations(call: Call, query: OperationQuery) -> dict[str, Any]:
    """Return the newest operations."""
    with call.database.transaction() as tx:
        found = rows.newest(tx, owner=call.principal.owner, limit=query.limit)
    return {"operations": [bulk_views.operation(each) for each in found]}


def show(call: Call) -> dict[str, Any]:
    """Return where one operation stands."""
    with call.database.transaction() as tx:
        return bulk_views.operation(_found(call, tx))


def list_items(call: Call, query: ItemQuery) -> dict[str, Any]:
    """Return the batches of an operation, in their order, and what came of each."""
    with call.database.transaction() as tx:
        found = rows.items(tx, _found(call, tx).id, after=query.after, limit=query.limit)
    is_last = len(found) < query.limit
    return {"items": [bulk_views.item(each) for each in found], "next": None if is_last else found[-1].position}


def start(call: Call) -> dict[str, Any]:
    """Do the previewed action: here for a moment, then on the nodes."""
    clock = call.context.clock
    with call.database.transaction() as tx:
        operation_id = _found(call, tx).id
    above = call.context.settings.approve_above
    bulk_operations.start(call.database, operation_id, call.author(), approve_above=above)
    until = clock() + HERE
    for _ in bulk_operations.advance(call.database, operation_id, clock=clock, new_id=wiring.new_id):
        if clock() >= until:
            break
    return show(call)


def cancel(call: Call) -> dict[str, Any]:
    """Stop an operation: what is done stays done, what waits is skipped."""
    with call.database.transaction() as tx:
        operation_id = _found(call, tx).id
    return bulk_views.operation(bulk_operations.cancel(call.database, operation_id, now=call.context.clock()))


def _found(call: Call, tx: Connection) -> OperationRow:
    found = rows.read(tx, call.id("operation_id"))
    own = call.principal.owner
    if found is None or (own is not None and found.selection.get("owner") != own):
        raise not_found("operation")
    return found
