"""Posting to the ledger, and reading its balances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import statements
from worker.core.db.statements import Row, StatementPart
from worker.core.rules import events
from worker.ledger.queries import budgets
from worker.ledger.rules.entries import CreditAccount, Movement, committed

POST = StatementPart(
    name="posted",
    columns="""batch_id uuid, generation_id uuid, kind text, source text, target text, credits bigint, actor text,
        reason text, posted_at timestamptz""",
    sql="""
        INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, actor, reason, posted_at)
        SELECT * FROM {rows}""",
)


@dataclass(frozen=True, kw_only=True)
class Posting:
    """The movements of one generation."""

    batch_id: UUID
    generation_id: UUID
    movements: Sequence[Movement]
    actor: str | None = None
    """The person behind it, when it is a person's decision."""
    reason: str | None = None
    """The person's reason; both are there for a correction."""


def posting_rows(postings: Iterable[Posting], *, now: datetime) -> list[Row]:
    """Return the rows for ``POST``; the batches' committed sums must be changed beside them (``commit_to``)."""
    return [
        {
            "batch_id": posting.batch_id,
            "generation_id": posting.generation_id,
            "kind": movement.kind,
            "source": movement.source,
            "target": movement.target,
            "credits": movement.credits,
            "actor": posting.actor,
            "reason": posting.reason,
            "posted_at": now,
        }
        for posting in postings
        for movement in posting.movements
    ]


def post(tx: Connection, postings: Iterable[Posting], *, now: datetime) -> None:
    """Write the movements; the batch's committed sum must be changed beside them (``commit_to``)."""
    statements.run(tx, {POST: posting_rows(postings, now=now)})


# One statement, whether or not anything comes of it: what the events of budgets need is read on the way.
_COMMIT = text("""
    WITH changed AS (
        UPDATE batch SET committed = committed + :change WHERE id = :batch_id
        RETURNING id, name, owner, committed, credit_cap),
    monthly AS (
        INSERT INTO owner_month (owner, month, committed)
        SELECT owner, date_trunc('month', CAST(:held_at AS timestamptz) AT TIME ZONE 'UTC')::date, :change FROM changed
        ON CONFLICT (owner, month) DO UPDATE SET committed = owner_month.committed + :change
        RETURNING month, committed)
    SELECT changed.id, name, changed.owner, changed.committed, credit_cap, month, monthly.committed AS of_month,
        monthly_cap, EXISTS (
            SELECT FROM hook WHERE removed_at IS NULL AND events && '{budget.80,budget.100}') AS is_wanted
    FROM changed CROSS JOIN monthly LEFT JOIN owner_cap ON owner_cap.owner = changed.owner""")


def commit_to(tx: Connection, movements: Sequence[Movement], *, batch_id: UUID, held_at: datetime) -> None:
    """Change what the batch, and its owner in the month of the hold, have committed by what leaves the cap.

    Locks the batch, then the owner's month, if anything changes. Writes an event when a budget is nearly or wholly
    used.
    """
    change = committed(movements)
    if change:
        now = tx.execute(_COMMIT, {"change": change, "batch_id": batch_id, "held_at": held_at}).one()
        if change > 0 and now.is_wanted:
            price = min(each.credits for each in movements if each.source is CreditAccount.CAP)
            _tell_of_budgets(tx, now, change, price)


def _tell_of_budgets(tx: Connection, now: Any, change: int, price: int) -> None:
    if now.credit_cap is not None:
        batch = events.batch_named(now.id, now.name, now.owner)
        before = now.committed - change
        budgets.tell_of_batch(tx, batch, before=before, after=now.committed, cap=now.credit_cap, price=price)
    if now.monthly_cap is not None:
        before = now.of_month - change
        budgets.tell_of_owner(
            tx, now.owner, now.month, before=before, after=now.of_month, cap=now.monthly_cap, price=price
        )


# A large batch has many entries and few open generations: what it has committed and these do not hold or have reserved
# is spent. `audit verify` proves both against the entries (committed, entries_follow_state).
_BALANCES = text("""
    SELECT b.committed, coalesce(g.held, 0)::bigint AS held, coalesce(g.reserved, 0)::bigint AS reserved
    FROM batch b CROSS JOIN LATERAL (
        SELECT sum(held) FILTER (WHERE state IN ('held', 'sending') OR reserved IS NULL) AS held,
            sum(reserved) FILTER (WHERE state IN ('accepted', 'in_doubt')) AS reserved
        FROM generation WHERE batch_id = b.id AND state IN ('held', 'sending', 'accepted', 'in_doubt')) g
    WHERE b.id = :id""")


def balances(tx: Connection, batch_id: UUID) -> Mapping[CreditAccount, int]:
    """Return the balance of each ledger account of one batch; the four add up to zero."""
    row = tx.execute(_BALANCES, {"id": batch_id}).one()
    return {
        CreditAccount.CAP: -row.committed,
        CreditAccount.HELD: row.held,
        CreditAccount.RESERVED: row.reserved,
        CreditAccount.SPENT: row.committed - row.held - row.reserved,
    }
