"""One action on many batches: which they are is frozen when it is asked, and only they are acted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.batches import control
from worker.batches.control import CancelEffect, ChangedMeanwhile
from worker.batches.queries import bulk_actions
from worker.batches.queries.bulk_actions import Target
from worker.batches.rules.selection import Selection
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.batch_request import Priority
from worker.core.rules.batch_state import ACTS_ON, ActionRefused, BatchAction, BatchState
from worker.engine.queries.batches import Turn


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The batches that were meant at one instant, each with what the action would reach."""

    action: BatchAction
    targets: Sequence[Target]


@dataclass(frozen=True, kw_only=True)
class Order:
    """An action with all that it needs beside the batches."""

    action: BatchAction
    author: Author
    priority: Priority | None = None
    weight: int | None = None


@dataclass(frozen=True, kw_only=True)
class ActionResult:
    """What came of one batch; ``refusal`` says why nothing did."""

    reach: Target
    refusal: str | None = None
    cancelled: CancelEffect | None = None
    turn: Turn | None = None


def freeze(database: Database, action: BatchAction, selection: Selection) -> Frozen:
    """Return the batches that are not over, that the selection means, and on which the action means something."""
    with database.bulk_transaction() as tx:
        return Frozen(action=action, targets=bulk_actions.meant(tx, selection, ACTS_ON[action]))


def look(database: Database, batch_id: UUID) -> Target:
    """Return what an action on one batch would reach."""
    with database.transaction() as tx:
        return bulk_actions.one(tx, batch_id)


def act(database: Database, frozen: Frozen, order: Order) -> list[ActionResult]:
    """Do it to each batch of the list in a transaction of its own, and to no other one.

    A batch that is no longer in the state in which it was shown is left alone, and says so.
    """
    return [_done(database, reach, order) for reach in frozen.targets]


def perform(database: Database, reach: Target, order: Order, *, seen: BatchState | None = None) -> ActionResult:
    """Do it to one batch; raises what the action raises."""
    batch_id, by = reach.batch_id, order.author
    match order.action:
        case BatchAction.PAUSE:
            control.pause(database, batch_id, by, seen=seen)
        case BatchAction.RESUME:
            control.resume(database, batch_id, by, seen=seen)
        case BatchAction.REPRIORITISE:
            turn = control.reprioritise(database, batch_id, by, priority=order.priority, weight=order.weight, seen=seen)
            return ActionResult(reach=reach, turn=turn)
        case BatchAction.CANCEL:
            effect = control.cancel(database, batch_id, now=by.now, by=by, seen=seen)
            return ActionResult(reach=reach, cancelled=effect)
    return ActionResult(reach=reach)


def _done(database: Database, reach: Target, order: Order) -> ActionResult:
    try:
        return perform(database, reach, order, seen=reach.state)
    except (ChangedMeanwhile, ActionRefused) as refusal:
        return ActionResult(reach=reach, refusal=str(refusal))
