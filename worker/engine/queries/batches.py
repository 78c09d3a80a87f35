"""Batches in the database: written once, shared out by the dispatcher, looked up by id, token or name."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.accounts.queries.accounts import OF_POOLS
from worker.core.rules import batch_request
from worker.core.rules.batch_request import BatchRequest, Priority
from worker.core.rules.fault import Fault, plain
from worker.core.rules.models_catalogue import SizePolicy
from worker.core.rules.states import BatchState
from worker.engine.rules.fairness import Candidate
from worker.ledger.queries.budgets import NEXT

_FAULTS_AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """A batch as it was submitted."""

    id: UUID
    account_id: UUID
    token: str
    content_hash: str
    name: str
    owner: str
    purpose: str
    priority: str
    credit_cap: int | None
    size: int
    state: BatchState
    deadline_at: datetime | None
    created_at: datetime
    size_policy: SizePolicy
    pool: str | None = None
    """Over whose accounts its jobs are spread; None: all are ``account_id``'s."""

    @property
    def place(self) -> "Place":
        """Its position in the list of all batches."""
        return Place(created_at=self.created_at, id=self.id)


_INSERT = text("""
    INSERT INTO batch (id, account_id, token, content_hash, name, owner, purpose, priority, credit_cap, size,
                       size_policy, models, has_pending, state, deadline_at, created_at, fields_hash,
                       traceparent, pool)
    VALUES (:id, :account_id, :token, :content_hash, :name, :owner, :purpose, :priority, :credit_cap, :size,
            :size_policy, :models, :has_pending, :state, :deadline_at, :now, :fields_hash,
            :traceparent, :pool)
    ON CONFLICT (token) DO NOTHING RETURNING id""")


def insert(
    tx: Connection,
    request: BatchRequest,
    *,
    batch_id: UUID,
    account_id: UUID,
    token: str,
    content_hash: str,
    size: int,
    state: BatchState,
    now: datetime,
    models: Collection[str] = (),
    fields_hash: str | None = None,
    pool: str | None = None,
) -> bool:
    """Write a batch; False when its token is taken (then wait for nothing: the other one is committed)."""
    row = tx.execute(
        _INSERT,
        {
            "id": batch_id,
            "account_id": account_id,
            "token": token,
            "content_hash": content_hash,
            "name": request.name,
            "owner": request.owner,
            "purpose": request.purpose,
            "priority": request.priority,
            "credit_cap": request.credit_cap,
            "size": size,
            "size_policy": request.size_policy,
            "models": sorted(models),
            "has_pending": size > 0,
            "state": state,
            "deadline_at": None if request.deadline is None else batch_request.falls_at(request.deadline, now=now),
            "now": now,
            "fields_hash": fields_hash,
            "traceparent": request.traceparent,
            "pool": pool,
        },
    ).scalar()
    return row is not None


_SPREAD = text("""
    INSERT INTO batch_account (batch_id, account_id)
    SELECT :batch_id, account_id FROM unnest(CAST(:accounts AS uuid[])) account_id ORDER BY account_id""")


def spread(tx: Connection, batch_id: UUID, accounts: Collection[UUID]) -> None:
    """Write over which accounts the jobs of a new batch are spread."""
    tx.execute(_SPREAD, {"batch_id": batch_id, "accounts": list(accounts)})


def insert_faults(tx: Connection, rows: Iterable[tuple[UUID, Fault]], *, batch_id: UUID) -> None:
    """Store each fault of the refused lines under its own id."""
    statement = text("""
        INSERT INTO refused_line (id, batch_id, line, key, field, reason, permitted)
        VALUES (:id, :batch_id, :line, :key, :field, :reason, :permitted)""").bindparams(
        bindparam("permitted", type_=JSONB)
    )
    rest = iter(rows)
    while some := [_refused(fault_id, fault, batch_id) for fault_id, fault in islice(rest, _FAULTS_AT_ONCE)]:
        tx.execute(statement, some)


def _refused(fault_id: UUID, fault: Fault, batch_id: UUID) -> dict[str, Any]:
    return {
        "id": fault_id,
        "batch_id": batch_id,
        "line": fault.line,
        "key": None if fault.key is None else plain(fault.key),
        "field": plain(fault.field),
        "reason": fault.reason,
        "permitted": list(fault.permitted),
    }


_COLUMNS = """
    id, account_id, token, content_hash, name, owner, purpose, priority, credit_cap, size, state, deadline_at,
    created_at, size_policy, pool"""


def by_token(tx: Connection, token: str) -> BatchRow | None:
    """Return the batch that was submitted under this token."""
    return _one(tx.execute(text(f"SELECT {_COLUMNS} FROM batch WHERE token = :t"), {"t": token}).all())


def traceparent(tx: Connection, batch_id: UUID) -> str | None:
    """Return the span of the batch's producer, if it named one."""
    found: str | None = tx.execute(text("SELECT traceparent FROM batch WHERE id = :i"), {"i": batch_id}).scalar()
    return found


def fields_hash(tx: Connection, batch_id: UUID) -> str | None:
    """Return the hash of the fields with which the batch was submitted; None: it was not kept."""
    found: str | None = tx.execute(text("SELECT fields_hash FROM batch WHERE id = :i"), {"i": batch_id}).scalar_one()
    return found


def by_id(tx: Connection, batch_id: UUID) -> BatchRow | None:
    """Return the batch with this id."""
    return _one(tx.execute(text(f"SELECT {_COLUMNS} FROM batch WHERE id = :i"), {"i": batch_id}).all())


def by_ids(tx: Connection, ids: Sequence[UUID]) -> list[BatchRow]:
    """Return the batches with these ids, in no order."""
    return [_row(r) for r in tx.execute(text(f"SELECT {_COLUMNS} FROM batch WHERE id = ANY(:ids)"), {"ids": list(ids)})]


def by_name(tx: Connection, name: str, *, limit: int = 2) -> list[BatchRow]:
    """Return the newest batches of that name."""
    query = f"SELECT {_COLUMNS} FROM batch WHERE name = :n ORDER BY created_at DESC, id DESC LIMIT :limit"
    return [_row(r) for r in tx.execute(text(query), {"n": name, "limit": limit})]


_NEWEST = text(f"""
    SELECT {_COLUMNS} FROM batch
    WHERE (CAST(:owner AS text) IS NULL OR owner = :owner) AND (CAST(:token AS text) IS NULL OR token = :token)
      AND (CAST(:name AS text) IS NULL OR name = :name)
      AND (CAST(:before AS timestamptz) IS NULL OR (created_at, id) < (:before, :before_id))
    ORDER BY created_at DESC, id DESC LIMIT :limit""")


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position of a batch in the list of all batches; unique."""

    created_at: datetime
    id: UUID


def newest(
    tx: Connection,
    *,
    limit: int,
    owner: str | None = None,
    token: str | None = None,
    name: str | None = None,
    after: Place | None = None,
) -> list[BatchRow]:
    """List the newest batches, newest first; of one owner, token or name if given, and those after a place."""
    values = {
        "limit": limit,
        "owner": owner,
        "token": token,
        "name": name,
        "before": None if after is None else after.created_at,
        "before_id": None if after is None else after.id,
    }
    return [_row(r) for r in tx.execute(_NEWEST, values)]


def _one(rows: Sequence[Any]) -> BatchRow | None:
    return _row(rows[0]) if rows else None


def _row(row: Any) -> BatchRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return BatchRow(
        **{**values, "state": BatchState(values["state"]), "size_policy": SizePolicy(values["size_policy"])}
    )


def faults(tx: Connection, batch_id: UUID) -> list[Fault]:
    """Return the faults of the batch's refused lines, in line order."""
    rows = tx.execute(
        text("""
            SELECT line, key, field, reason, permitted FROM refused_line
            WHERE batch_id = :id ORDER BY line, id"""),
        {"id": batch_id},
    )
    return [Fault(line=r.line, key=r.key, field=r.field, reason=r.reason, permitted=tuple(r.permitted)) for r in rows]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A batch with pending jobs, locked for a round of dispatch."""

    candidate: Candidate
    price: int
    """Credits that its next job holds."""
    cap_left: int | None
    """Credits that it may still commit; None: it has no cap."""
    is_pooled: bool = False
    """Whether its jobs are spread over the accounts of a pool."""


_LOCK_WAITING = text("""
    SELECT id FROM batch
    WHERE account_id = :account_id AND state = 'open' AND has_pending AND pool IS NULL AND priority = ANY(:classes)
      AND (deadline_at IS NULL OR deadline_at > :now) AND NOT models <@ CAST(:paused AS text[])
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED""")

# A statement of its own, which only accounts with such batches run. They are few; each is locked by one account at a
# time, whose round is short.
_LOCK_POOLED = text(f"""
    WITH waiting AS (
        SELECT id FROM batch
        WHERE id IN ({OF_POOLS.format(account=":account_id")}) AND priority = ANY(:classes)
          AND (deadline_at IS NULL OR deadline_at > :now) AND NOT models <@ CAST(:paused AS text[])),
    locked AS (
        SELECT id FROM batch WHERE id IN (SELECT id FROM waiting) AND state = 'open' AND has_pending
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
    SELECT ARRAY(SELECT id FROM locked) AS ids, (SELECT count(*) FROM waiting) AS waiting""")

# A statement of its own, so that its snapshot is younger than the locks: a job that went back in line just before
# is seen, and its batch is not taken for empty.
_WAITING = text(f"""
    SELECT id, owner, priority, weight, virtual_time, credit_cap - committed AS cap_left,
           pool IS NOT NULL AS is_pooled, {NEXT.format(batch="batch", account=":account_id")} AS price, EXISTS (
               SELECT FROM job WHERE batch_id = batch.id AND model = ANY(:paused) AND state = 'pending') AS has_paused
    FROM batch WHERE id = ANY(:ids) ORDER BY id""")

# Of a pool only those that another account has begun can be left: few, and that account's to see.
_EMPTY = text("""
    UPDATE batch SET has_pending = false WHERE id = ANY(:ids)
      AND (pool IS NULL OR NOT EXISTS (SELECT FROM job WHERE batch_id = batch.id AND state = 'pending'))""")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """The batches that a round may admit jobs of."""

    waiting: Sequence[Waiting]
    is_contended: bool = False
    """Whether another account's round has a batch of a pool: it is free again in a moment."""


def lock_waiting(
    tx: Connection,
    account_id: UUID,
    classes: Collection[Priority],
    *,
    room: int,
    now: datetime,
    paused_models: Sequence[str] = (),
    has_pooled: bool = False,
) -> Locked:
    """Lock the open batches of these classes that have pending jobs and time left, each with all the room.

    With ``has_pooled`` those of pools with the account are among them, of which it sees the jobs that it has begun or
    nobody has. One that waits for paused models alone, or is locked by another transaction, is left out of this round.
    """
    paused = list(paused_models)
    values = {"account_id": account_id, "classes": list(classes), "now": now, "paused": paused}
    ids = list(tx.execute(_LOCK_WAITING, values).scalars())
    is_contended = False
    if has_pooled:
        pooled = tx.execute(_LOCK_POOLED, values).one()
        ids += pooled.ids
        is_contended = len(pooled.ids) < pooled.waiting
    values = {"ids": ids, "paused": paused, "account_id": account_id}
    rows = tx.execute(_WAITING, values).all() if ids else []
    empty = [r.id for r in rows if r.price is None and not r.has_paused]
    if empty:
        tx.execute(_EMPTY, {"ids": empty})
    waiting = [
        Waiting(
            candidate=Candidate(
                batch_id=r.id,
                owner=r.owner,
                priority=Priority(r.priority),
                weight=r.weight,
                virtual_time=r.virtual_time,
                room=room,
            ),
            price=r.price,
            cap_left=r.cap_left,
            is_pooled=r.is_pooled,
        )
        for r in rows
        if r.price is not None
    ]
    return Locked(waiting=waiting, is_contended=is_contended)


def save_turn(tx: Connection, batch_id: UUID, *, virtual_time: float) -> None:
    """Store the virtual time of the batch."""
    tx.execute(text("UPDATE batch SET virtual_time = :t WHERE id = :id"), {"t": virtual_time, "id": batch_id})


def rename_token(tx: Connection, batch_id: UUID, token: str) -> None:
    """Give a refused batch another token, so that its own can be used for the corrected requests."""
    tx.execute(text("UPDATE batch SET token = :token WHERE id = :id"), {"token": token, "id": batch_id})


def lock(tx: Connection, batch_id: UUID) -> None:
    """Lock one batch against admission until the transaction ends."""
    tx.execute(text("SELECT 1 FROM batch WHERE id = :id FOR NO KEY UPDATE"), {"id": batch_id})


def lock_state(tx: Connection, batch_id: UUID) -> BatchState:
    """Lock one batch in the same way, and give its state as it is from now on."""
    query = text("SELECT state FROM batch WHERE id = :id FOR NO KEY UPDATE")
    return BatchState(tx.execute(query, {"id": batch_id}).scalar_one())


def set_state(tx: Connection, batch_id: UUID, state: BatchState) -> None:
    """Open, pause or cancel a batch; the next round checks whether it has pending jobs."""
    tx.execute(
        text("UPDATE batch SET state = :state, has_pending = CAST(:state AS text) <> 'cancelled' WHERE id = :id"),
        {"state": state, "id": batch_id},
    )


@dataclass(frozen=True, kw_only=True)
class Turn:
    """When the jobs of a batch have their turn: its class, and its weight inside the class."""

    priority: Priority
    weight: int


def turn(tx: Connection, batch_id: UUID) -> Turn:
    """Return the class and the weight of a batch."""
    row = tx.execute(text("SELECT priority, weight FROM batch WHERE id = :id"), {"id": batch_id}).one()
    return Turn(priority=Priority(row.priority), weight=row.weight)


def set_turn(tx: Connection, batch_id: UUID, turn_: Turn) -> None:
    """Set the class and the weight of a batch."""
    tx.execute(
        text("UPDATE batch SET priority = :priority, weight = :weight WHERE id = :id"),
        {"priority": turn_.priority, "weight": turn_.weight, "id": batch_id},
    )
