"""Posting to the ledger, and reading its balances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import statements
from worker.core.db.statements import Part, Row
from worker.ledger.rules.entries import CreditAccount, Movement, committed

POST = Part(
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


_COMMIT = text("""
    WITH changed AS (UPDATE batch SET committed = committed + :change WHERE id = :batch_id RETURNING owner)
    INSERT INTO owner_month (owner, month, committed)
    SELECT owner, date_trunc('month', CAST(:held_at AS timestamptz) AT TIME ZONE 'UTC')::date, :change FROM changed
    ON CONFLICT (owner, month) DO UPDATE SET committed = owner_month.committed + :change""")


def commit_to(tx: Connection, movements: Sequence[Movement], *, batch_id: UUID, held_at: datetime) -> None:
    """Change what the batch, and its owner in the month of the hold, have committed by what leaves the cap.

    Locks the batch, then the owner's month, if anything changes.
    """
    change = committed(movements)
    if change:
        tx.execute(_COMMIT, {"change": change, "batch_id": batch_id, "held_at": held_at})


def balances(tx: Connection, batch_id: UUID) -> Mapping[CreditAccount, int]:
    """Sum the entries of one batch per account; the four sums add up to zero."""
    rows = tx.execute(
        text("""
            SELECT source, target, sum(credits)::bigint FROM credit_entry
            WHERE batch_id = :id GROUP BY source, target"""),
        {"id": batch_id},
    )
    sums = dict.fromkeys(CreditAccount, 0)
    for source, target, amount in rows:
        sums[CreditAccount(source)] -= amount
        sums[CreditAccount(target)] += amount
    return sums
