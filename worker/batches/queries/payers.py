"""The accounts that pay for a batch, and what each has spent for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Payer:
    """An account of a batch."""

    account: str
    spent: int
    """Credits, less corrections."""


# What seals bind was added up with them, so that an archived batch has its figures too.
_OF_POOL = text("""
    SELECT a.name AS account, coalesce(sum(
            f.credits * ((f.target = 'spent')::int - (f.source = 'spent')::int)), 0)::bigint AS spent
    FROM batch_account m JOIN account a ON a.id = m.account_id
    LEFT JOIN (
        SELECT account_id, source, target, credits FROM pool_rollup WHERE batch_id = :id
        UNION ALL
        SELECT g.account_id, e.source, e.target, e.credits
        FROM credit_entry e JOIN generation g ON g.id = e.generation_id
        WHERE e.batch_id = :id AND e.id > (SELECT coalesce(max(last_entry_id), 0) FROM seal)) f
        ON f.account_id = m.account_id
    WHERE m.batch_id = :id GROUP BY a.name ORDER BY a.name""")
_ITS_OWN = text("SELECT a.name FROM batch b JOIN account a ON a.id = b.account_id WHERE b.id = :id")


def of_batch(tx: Connection, batch_id: UUID, *, spent: int) -> Sequence[Payer]:
    """Return the accounts of the batch's pool, by name, or its one account, which has ``spent`` all."""
    found = [Payer(**row) for row in tx.execute(_OF_POOL, {"id": batch_id}).mappings()]
    return found or [Payer(account=tx.execute(_ITS_OWN, {"id": batch_id}).scalar_one(), spent=spent)]
