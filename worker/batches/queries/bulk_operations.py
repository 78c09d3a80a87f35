"""Bulk operations in the database: which batches a filter matches, the frozen items, and the outcome of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.batches.queries import failed_jobs
from worker.batches.rules.bulk_operation import BulkAction, ItemState, OperationState, Selection, like
from worker.core.db.changes import Author
from worker.core.rules.states import ACTS_ON, BatchAction, BatchState


@dataclass(frozen=True, kw_only=True)
class Target:
    """A batch in a preview: its jobs that have not begun, those that have, and the credits of both."""

    batch_id: UUID
    name: str
    owner: str
    priority: str
    weight: int
    state: BatchState
    pending: int
    pending_credits: int
    """What its pending jobs will hold once they are admitted."""
    begun: int
    """Its live jobs."""
    unsent: int
    """Live jobs for which nothing was sent."""
    unsent_credits: int
    """What they hold."""
    at_provider_credits: int
    """Credits that are held or reserved for what was sent, and not settled."""
    failed: int = 0
    """Failed jobs that a retry would render anew."""
    failed_credits: int = 0
    """What they would hold."""
    recalled: int = 0
    """Failed jobs whose image is paid for: a retry would download it again."""


@dataclass(frozen=True, kw_only=True)
class ImageTarget:
    """An image of a catalog that waited for a decision when it was looked at."""

    render_id: UUID
    batch_id: UUID
    """The batch that rendered it."""
    job_id: UUID
    sha256: str
    """Of the image, in hex."""
    catalog: str
    sku: str
    not_as_ordered: tuple[str, ...]
    """In what it differs from what was ordered."""


_REACH = """
    WITH live AS (
        SELECT g.batch_id, count(*) AS begun,
            count(*) FILTER (WHERE g.state = 'held' AND g.sends = 0) AS unsent,
            sum(g.held) FILTER (WHERE g.state = 'held' AND g.sends = 0) AS unsent_credits,
            sum(coalesce(g.reserved, g.held)) FILTER (WHERE g.state IN ('sending', 'accepted')) AS at_provider_credits
        FROM step s JOIN generation g ON g.id = s.generation_id GROUP BY g.batch_id)
    SELECT b.id AS batch_id, b.name, b.owner, b.priority, b.weight, b.state, p.pending, p.pending_credits,
        coalesce(l.begun, 0) AS begun, coalesce(l.unsent, 0) AS unsent,
        coalesce(l.unsent_credits, 0)::bigint AS unsent_credits,
        coalesce(l.at_provider_credits, 0)::bigint AS at_provider_credits
    FROM batch b LEFT JOIN live l ON l.batch_id = b.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS pending, coalesce(sum(price), 0)::bigint AS pending_credits
        FROM job WHERE batch_id = b.id AND state = 'pending') p"""

_MATCHES = """b.state = ANY(:states)
      AND (CAST(:owner AS text) IS NULL OR b.owner = :owner)
      AND (CAST(:name AS text) IS NULL OR b.name LIKE :name)
      AND (CAST(:purpose AS text) IS NULL OR b.purpose = :purpose)
      AND (CAST(:priority AS text) IS NULL OR b.priority = :priority)
      AND (CAST(:since AS timestamptz) IS NULL OR b.created_at >= :since)
      AND (CAST(:before AS timestamptz) IS NULL OR b.created_at < :before)"""
_MEANT = text(f"{_REACH} WHERE {_MATCHES} AND (p.pending > 0 OR l.begun > 0) ORDER BY b.created_at, b.id")
_RETRIED = text(f"""
    SELECT r.*, f.jobs AS failed, f.credits AS failed_credits, f.recalled FROM ({_REACH} WHERE {_MATCHES}) r
    JOIN batch b ON b.id = r.batch_id CROSS JOIN LATERAL ({failed_jobs.PRICE.format(batch="r.batch_id")}) f
    WHERE f.jobs + f.recalled > 0 ORDER BY b.created_at, b.id""")

_ONE = text(f"{_REACH} WHERE b.id = :id")


def find_targets(tx: Connection, action: BatchAction, selection: Selection, *, code: str | None = None) -> list[Target]:
    """Return the batches that match the selection and on which the action has an effect, the oldest first."""
    values = {
        "states": list(ACTS_ON[action]),
        "owner": selection.owner,
        "name": None if selection.name is None else like(selection.name),
        "purpose": selection.purpose,
        "priority": selection.priority,
        "since": selection.since,
        "before": selection.before,
    }
    if action is BatchAction.RETRY:
        return [_read(row) for row in tx.execute(_RETRIED, {**values, "code": code}).mappings()]
    return [_read(row) for row in tx.execute(_MEANT, values).mappings()]


def one(tx: Connection, batch_id: UUID) -> Target:
    """Return the target of an action on one batch."""
    return _read(tx.execute(_ONE, {"id": batch_id}).mappings().one())


def _read(row: Any) -> Target:
    return Target(**{**row, "state": BatchState(row["state"])})


@dataclass(frozen=True, kw_only=True)
class OperationRow:
    """A bulk operation, and how many of its items are in which state."""

    id: UUID
    action: BulkAction
    selection: Mapping[str, Any]
    parameters: Mapping[str, Any]
    actor: str
    reason: str | None
    state: OperationState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    items: int
    waiting: int
    done: int
    skipped: int
    failed: int
    jobs: int
    """Jobs that it would reach, by the preview."""
    credits: int
    """Credits of these jobs: held or reserved, or to be held once they are admitted."""


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """One item of an operation: the preview, and the outcome."""

    position: int
    target: Target | None
    """The batch; None: the item is an image."""
    image: ImageTarget | None
    state: ItemState
    detail: str | None
    effect: Mapping[str, Any] | None


_ADD = text("""
    INSERT INTO bulk_operation (id, action, selection, parameters, actor, reason, state, created_at)
    VALUES (:id, :action, CAST(:selection AS jsonb), CAST(:parameters AS jsonb), :actor, :reason, 'previewed', :now)""")
_ADD_ITEM = text("""
    INSERT INTO bulk_operation_item (operation_id, position, batch_id, render_id, seen, state)
    VALUES (:operation_id, :position, :batch_id, :render_id, CAST(:seen AS jsonb), 'waiting')""")


def add(
    tx: Connection,
    operation_id: UUID,
    action: BulkAction,
    *,
    selection: Mapping[str, object],
    parameters: Mapping[str, object],
    by: Author,
    targets: Sequence[Target | ImageTarget],
) -> None:
    """Store a previewed operation with its frozen items, in order."""
    asked = {"selection": json.dumps(selection), "parameters": json.dumps(parameters)}
    signed = {"actor": by.actor, "reason": by.reason, "now": by.now}
    tx.execute(_ADD, {"id": operation_id, "action": action, **asked, **signed})
    items = [
        {
            "operation_id": operation_id,
            "position": position,
            "batch_id": each.batch_id,
            "render_id": each.render_id if isinstance(each, ImageTarget) else None,
            "seen": json.dumps(asdict(each), default=str),
        }
        for position, each in enumerate(targets, start=1)
    ]
    if items:
        tx.execute(_ADD_ITEM, items)


_LOCK = text("SELECT FROM bulk_operation WHERE id = :id FOR UPDATE")
_START = text("UPDATE bulk_operation SET state = 'running', started_at = :now WHERE id = :id")
_CANCEL = text("UPDATE bulk_operation SET state = 'cancelled', ended_at = :now WHERE id = :id")
# An item that is being done is locked, and stays what it becomes.
_SKIP_WAITING = text("""
    UPDATE bulk_operation_item i SET state = 'skipped', detail = 'the operation was cancelled', done_at = :now
    FROM (SELECT operation_id, position FROM bulk_operation_item WHERE operation_id = :id AND state = 'waiting'
        FOR UPDATE SKIP LOCKED) w
    WHERE (i.operation_id, i.position) = (w.operation_id, w.position)""")
_FINISH = text("""
    UPDATE bulk_operation o SET state = 'done', ended_at = :now
    WHERE id = :id AND state = 'running' AND NOT EXISTS (
        SELECT FROM bulk_operation_item i WHERE i.operation_id = o.id AND i.state = 'waiting')""")


def lock(tx: Connection, operation_id: UUID) -> None:
    """Lock the operation against being started, stopped or finished until the transaction ends."""
    tx.execute(_LOCK, {"id": operation_id})


def start(tx: Connection, operation_id: UUID, *, now: datetime) -> None:
    """Start a previewed operation."""
    tx.execute(_START, {"id": operation_id, "now": now})


def cancel(tx: Connection, operation_id: UUID, *, now: datetime) -> None:
    """Stop an operation, and skip what waits."""
    tx.execute(_CANCEL, {"id": operation_id, "now": now})
    tx.execute(_SKIP_WAITING, {"id": operation_id, "now": now})


def finish(tx: Connection, operation_id: UUID, *, now: datetime) -> bool:
    """Note the end of an operation that has nothing left to do; False when it is not so, or was noted before."""
    return tx.execute(_FINISH, {"id": operation_id, "now": now}).rowcount == 1


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The next item of a running operation, locked for this transaction, with what its action needs."""

    position: int
    batch_id: UUID
    render_id: UUID | None
    """The image that is decided on; None: the item is the whole batch."""
    sku: str | None
    seen_state: BatchState | None
    seen_credits: int
    action: BulkAction
    parameters: Mapping[str, Any]
    actor: str
    reason: str | None


_CLAIM = text("""
    SELECT i.position, i.batch_id, i.render_id, i.seen ->> 'sku' AS sku, i.seen ->> 'state' AS seen_state,
        coalesce((i.seen ->> 'failed_credits')::bigint, 0) AS seen_credits, o.action, o.parameters, o.actor, o.reason
    FROM bulk_operation o JOIN bulk_operation_item i ON i.operation_id = o.id
    WHERE o.id = :id AND o.state = 'running' AND i.state = 'waiting'
    ORDER BY i.position LIMIT 1 FOR UPDATE OF i SKIP LOCKED""")
_END_ITEM = text("""
    UPDATE bulk_operation_item SET state = :state, detail = :detail, effect = CAST(:effect AS jsonb), done_at = :now
    WHERE operation_id = :id AND position = :position""")


def claim(tx: Connection, operation_id: UUID) -> Claimed | None:
    """Lock the next waiting item that no one else works on; None when there is none."""
    row = tx.execute(_CLAIM, {"id": operation_id}).mappings().one_or_none()
    if row is None:
        return None
    seen = row["seen_state"]
    state = None if seen is None else BatchState(seen)
    return Claimed(**{**row, "seen_state": state, "action": BulkAction(row["action"])})


def end_item(
    tx: Connection,
    operation_id: UUID,
    position: int,
    state: ItemState,
    *,
    detail: str | None,
    effect: str | None,
    now: datetime,
) -> None:
    """Record the outcome of an item; ``effect`` is JSON."""
    values = {"id": operation_id, "position": position, "state": state, "detail": detail, "effect": effect, "now": now}
    tx.execute(_END_ITEM, values)


_COUNTED = """
    SELECT o.*, c.items, c.waiting, c.done, c.skipped, c.failed, c.jobs, c.credits
    FROM bulk_operation o CROSS JOIN LATERAL (
        SELECT count(*) AS items, count(*) FILTER (WHERE i.state = 'waiting') AS waiting,
            count(*) FILTER (WHERE i.state = 'done') AS done, count(*) FILTER (WHERE i.state = 'skipped') AS skipped,
            count(*) FILTER (WHERE i.state = 'failed') AS failed,
            coalesce(sum(CASE o.action WHEN 'decide' THEN 1
                WHEN 'retry' THEN (i.seen ->> 'failed')::bigint + (i.seen ->> 'recalled')::bigint
                ELSE (i.seen ->> 'pending')::bigint + (i.seen ->> 'begun')::bigint END), 0)::bigint AS jobs,
            coalesce(sum(CASE o.action WHEN 'retry' THEN (i.seen ->> 'failed_credits')::bigint
                ELSE (i.seen ->> 'pending_credits')::bigint + (i.seen ->> 'unsent_credits')::bigint
                    + (i.seen ->> 'at_provider_credits')::bigint END), 0)::bigint AS credits
        FROM bulk_operation_item i WHERE i.operation_id = o.id) c"""
_OPERATION = text(f"{_COUNTED} WHERE o.id = :id")
_NEWEST = text(f"""{_COUNTED}
    WHERE (CAST(:owner AS text) IS NULL OR o.selection ->> 'owner' = :owner)
    ORDER BY o.created_at DESC, o.id DESC LIMIT :limit""")
_RUNNING = text("SELECT id FROM bulk_operation WHERE state = 'running' ORDER BY created_at LIMIT 10")
_ITEMS = text("""
    SELECT position, seen, state, detail, effect FROM bulk_operation_item
    WHERE operation_id = :id AND position > :after ORDER BY position LIMIT :limit""")


def read(tx: Connection, operation_id: UUID) -> OperationRow | None:
    """Return an operation; None when there is none of that id."""
    row = tx.execute(_OPERATION, {"id": operation_id}).mappings().one_or_none()
    return None if row is None else _operation(row)


def newest(tx: Connection, *, owner: str | None, limit: int) -> list[OperationRow]:
    """Return the newest operations; with an owner, those whose filter names it."""
    return [_operation(row) for row in tx.execute(_NEWEST, {"owner": owner, "limit": limit}).mappings()]


def running(tx: Connection) -> list[UUID]:
    """Return operations that are not done yet, the oldest first."""
    return list(tx.execute(_RUNNING).scalars())


def items(tx: Connection, operation_id: UUID, *, after: int = 0, limit: int = 100_000) -> list[ItemRow]:
    """Return the items after a position, in order."""
    rows = tx.execute(_ITEMS, {"id": operation_id, "after": after, "limit": limit}).mappings()
    return [
        ItemRow(
            position=row["position"],
            target=None if "sku" in row["seen"] else _read({**row["seen"], "batch_id": UUID(row["seen"]["batch_id"])}),
            image=_image(row["seen"]) if "sku" in row["seen"] else None,
            state=ItemState(row["state"]),
            detail=row["detail"],
            effect=row["effect"],
        )
        for row in rows
    ]


def _image(seen: Mapping[str, Any]) -> ImageTarget:
    ids = {name: UUID(seen[name]) for name in ("render_id", "batch_id", "job_id")}
    return ImageTarget(**{**seen, **ids, "not_as_ordered": tuple(seen["not_as_ordered"])})


def _operation(row: Any) -> OperationRow:
    return OperationRow(**{**row, "action": BulkAction(row["action"]), "state": OperationState(row["state"])})
