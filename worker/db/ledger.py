"""Posting to the ledger, and reading its balances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.domain.ledger import CreditAccount, Movement, committed

_POST = text("""
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, actor, reason, posted_at)
    SELECT *, :now FROM unnest(
        CAST(:batch_ids AS uuid[]), CAST(:generation_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:sources AS text[]),
        CAST(:targets AS text[]), CAST(:credits AS bigint[]), CAST(:actors AS text[]), CAST(:reasons AS text[]))""")


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


def post(tx: Connection, postings: Sequence[Posting], *, now: datetime) -> None:
    """Write the movements; the batch's committed sum must be changed beside them (``commit_to``)."""
    rows = [(posting, movement) for posting in postings for movement in posting.movements]
    if rows:
        tx.execute(
            _POST,
            {
                "batch_ids": [posting.batch_id for posting, _ in rows],
                "generation_ids": [posting.generation_id for posting, _ in rows],
                "kinds": [movement.kind for _, movement in rows],
                "sources": [movement.source for _, movement in rows],
                "targets": [movement.target for _, movement in rows],
                "credits": [movement.credits for _, movement in rows],
                "actors": [posting.actor for posting, _ in rows],
                "reasons": [posting.reason for posting, _ in rows],
                "now": now,
            },
        )


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
