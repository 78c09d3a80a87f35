"""Bulk operations: one action on many batches or images, frozen when it is asked; only they are acted on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.batches import actions
from worker.batches.actions import CancelEffect, Effect, Order, RetryEffect
from worker.batches.queries import bulk_operations, failed_jobs
from worker.batches.queries.bulk_operations import Claimed, OperationRow, Target
from worker.batches.rules.bulk_operation import BulkAction, ItemState, OperationState, Selection
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.batch_request import Priority
from worker.core.rules.errors import DarkroomError, with_type
from worker.core.rules.states import BatchAction
from worker.engine.queries.batches import Turn
from worker.ledger import second_person
from worker.ledger.second_person import SecondPersonNeeded

log = structlog.get_logger(__name__)


class OperationEnded(DarkroomError):
    """The operation is not in a state in which this can be done to it; nothing was changed."""

    error_code = "bulk_operation_ended"

    def __init__(self, operation_id: UUID, state: OperationState) -> None:
        """Keep which operation, and where it stands."""
        super().__init__(operation_id, state)
        self.operation_id, self.state = operation_id, state

    def __str__(self) -> str:
        """Return the message."""
        return f"bulk operation {self.operation_id} is {self.state} already"


def target_of(database: Database, batch_id: UUID, *, code: str | None = None) -> Target:
    """Return the target of an action on one batch; for a retry, the failures with that code, or all."""
    with database.transaction() as tx:
        found = bulk_operations.one(tx, batch_id)
        price = failed_jobs.price(tx, batch_id, code=code)
    return replace(found, failed=price["jobs"], failed_credits=price["credits"], recalled=price["recalled"])


def preview(database: Database, action: BatchAction, selection: Selection, *, code: str | None = None) -> list[Target]:
    """Return the active batches that match and on which the action has an effect; nothing is kept."""
    with database.bulk_transaction() as tx:
        return bulk_operations.find_targets(tx, action, selection, code=code)


def create(
    database: Database, order: Order, selection: Selection, targets: Sequence[Target] | None = None
) -> OperationRow:
    """Store an operation with the previewed batches, or else with those that match now; it is not started."""
    operation_id = order.author.new_id()
    with database.bulk_transaction() as tx:
        bulk_operations.add(
            tx,
            operation_id,
            BulkAction(order.action),
            selection=selection.as_json(),
            parameters={"priority": order.priority, "weight": order.weight, "code": order.code},
            by=order.author,
            targets=(
                bulk_operations.find_targets(tx, order.action, selection, code=order.code)
                if targets is None
                else targets
            ),
        )
        found = _read(tx, operation_id)
    tell_previewed(found)
    return found


def tell_previewed(found: OperationRow) -> None:
    """Write into the log that an operation was kept, once it is committed."""
    log.info(
        "bulk_operation.previewed", operation=str(found.id), action=found.action, items=found.items, by=found.actor
    )


def start(database: Database, operation_id: UUID, by: Author, *, approve_above: int | None) -> OperationRow:
    """Start a previewed operation: `advance` carries it out here, or the nodes do.

    Raises OperationEnded, and SecondPersonNeeded when it is a retry that costs more than ``approve_above``.
    """
    with database.transaction() as tx:
        found = _locked(tx, operation_id)
        if found.state is not OperationState.PREVIEWED:
            raise OperationEnded(operation_id, found.state)
        waits = _missing(tx, found, by, above=approve_above)
        if waits is None:
            bulk_operations.start(tx, operation_id, now=by.now)
            found = _read(tx, operation_id)
    if waits is not None:
        raise waits
    log.info("bulk_operation.running", operation=str(operation_id), action=found.action, by=by.actor)
    return found


def _missing(tx: Connection, found: OperationRow, by: Author, *, above: int | None) -> SecondPersonNeeded | None:
    if found.action is not BulkAction.RETRY:
        return None
    return second_person.missing(
        tx,
        by,
        subject=f"bulk operation:{found.id}",
        request=f"retry for {found.credits} credits",
        credits_=found.credits,
        above=above,
        how="starts it",
    )


def cancel(database: Database, operation_id: UUID, *, now: datetime) -> OperationRow:
    """Stop an operation: the item in progress is completed, the others are skipped. Raises OperationEnded."""
    with database.transaction() as tx:
        found = _locked(tx, operation_id)
        if found.state not in {OperationState.PREVIEWED, OperationState.RUNNING}:
            raise OperationEnded(operation_id, found.state)
        bulk_operations.cancel(tx, operation_id, now=now)
        stopped = _read(tx, operation_id)
    log.info("bulk_operation.cancelled", operation=str(operation_id), action=stopped.action)
    return stopped


Decide = Callable[[Connection, Claimed, Author], None]
"""Decides on the image of an item in the caller's transaction: the room of catalogs, which is above this one."""


def advance(
    database: Database,
    operation_id: UUID,
    *,
    decide: Decide,
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> Iterator[None]:
    """Do the waiting items of a running operation, each with its accounting in one transaction; yield after each.

    Any number of processes may do so at once. Whoever stops iterating leaves the rest to the nodes.
    """
    while _do_next(database, operation_id, decide, clock, new_id):
        yield
    with database.transaction() as tx:
        is_done = bulk_operations.finish(tx, operation_id, now=clock())
    if is_done:
        log.info("bulk_operation.done", operation=str(operation_id))


def _do_next(
    database: Database,
    operation_id: UUID,
    decide: Decide,
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> bool:
    with database.bulk_transaction() as tx:
        item = bulk_operations.claim(tx, operation_id)
        if item is None:
            return False
        author = Author(actor=item.actor, reason=item.reason, now=clock(), new_id=new_id)
        state, detail, effect = _do(tx, item, author, decide)
        kept = None if effect is None else json.dumps(_as_json(effect))
        bulk_operations.end_item(tx, operation_id, item.position, state, detail=detail, effect=kept, now=author.now)
    _tell(operation_id, item, state, detail)
    if effect is not None and item.action is not BulkAction.DECIDE:
        actions.tell(item.batch_id, BatchAction(item.action), author, effect)
    return True


def _tell(operation_id: UUID, item: Claimed, state: ItemState, detail: str | None) -> None:
    named = {"operation": str(operation_id), "batch": str(item.batch_id), "sku": item.sku, "action": item.action}
    match state:
        case ItemState.DONE:
            log.debug("bulk_operation.item_done", **named)
        case ItemState.SKIPPED:
            log.info("bulk_operation.item_skipped", **named, detail=detail)
        case ItemState.FAILED:
            log.error("bulk_operation.item_failed", **named, detail=detail)
        case ItemState.WAITING:
            raise ValueError(state)  # nothing came of it
        case _:
            assert_never(state)


def _do(tx: Connection, item: Claimed, author: Author, decide: Decide) -> tuple[ItemState, str | None, Effect | None]:
    """Do one item; what it raises undoes the item alone. An error of the database ends the transaction."""
    try:
        with tx.begin_nested():
            effect = _perform(tx, item, author, decide)
    except DBAPIError:
        raise
    except DarkroomError as refusal:
        return ItemState.SKIPPED, str(refusal), None
    except Exception as crash:
        log.exception("bulk_operation.item_crashed", batch=str(item.batch_id), action=item.action)
        return ItemState.FAILED, with_type(crash), None
    return ItemState.DONE, None, effect


def _perform(tx: Connection, item: Claimed, author: Author, decide: Decide) -> Effect:
    if item.action is BulkAction.DECIDE:
        decide(tx, item, author)
        return Effect()
    order = _order(item, author)
    return actions.perform(tx, item.batch_id, order, seen=item.seen_state, shown_credits=item.seen_credits)


def _order(item: Claimed, author: Author) -> Order:
    priority = item.parameters["priority"]
    return Order(
        action=BatchAction(item.action),
        author=author,
        priority=None if priority is None else Priority(priority),
        weight=item.parameters["weight"],
        code=item.parameters["code"],
    )


def _as_json(effect: Effect) -> dict[str, Any]:
    if effect.cancelled is not None:
        return asdict(effect.cancelled)
    if effect.retried is not None:
        return asdict(effect.retried)
    return {} if effect.turn is None else {"priority": effect.turn.priority, "weight": effect.turn.weight}


def effect_of(action: BatchAction, kept: Mapping[str, Any]) -> Effect:
    """Return the effect that an item keeps."""
    match action:
        case BatchAction.CANCEL:
            return Effect(cancelled=CancelEffect(**kept))
        case BatchAction.RETRY:
            return Effect(retried=RetryEffect(**kept))
        case BatchAction.REPRIORITISE:
            return Effect(turn=Turn(priority=Priority(kept["priority"]), weight=kept["weight"]))
        case BatchAction.PAUSE | BatchAction.RESUME:
            return Effect()


def _locked(tx: Connection, operation_id: UUID) -> OperationRow:
    bulk_operations.lock(tx, operation_id)
    return _read(tx, operation_id)


def _read(tx: Connection, operation_id: UUID) -> OperationRow:
    found = bulk_operations.read(tx, operation_id)
    if found is None:
        raise LookupError(f"there is no bulk operation {operation_id}")
    return found
