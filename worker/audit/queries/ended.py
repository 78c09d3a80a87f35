"""Generations that have ended: which one is meant, what it has spent, and a final figure that was put right."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.generation import GenerationState
from worker.engine.queries import batches

_HEX_DIGITS = 32


@dataclass(frozen=True, kw_only=True)
class Paid:
    """One generation with what its entries say that it has spent."""

    generation_id: UUID
    job_id: UUID
    batch_id: UUID
    key: str
    state: GenerationState
    held: int
    reserved: int | None
    final: int | None
    spent: int
    admitted_at: datetime

    @property
    def expected(self) -> int:
        """The most that was ever promised for it, by us or by the provider."""
        return max(self.held, self.reserved or 0)


_FIND = text("""
    SELECT id FROM generation WHERE id BETWEEN CAST(:first AS uuid) AND CAST(:last AS uuid)
    UNION SELECT id FROM generation WHERE provider_id = :name OR idempotency_key = :name
    ORDER BY id LIMIT :limit""")


def find(tx: Connection, name: str, *, limit: int = 5) -> list[UUID]:
    """Return the generations whose id begins like that, or that have this provider's id or idempotency key."""
    digits = name.strip().lower().removeprefix("darkroom-").replace("-", "")
    is_hex = digits and len(digits) <= _HEX_DIGITS and set(digits) <= set("0123456789abcdef")
    values = {
        "first": digits.ljust(_HEX_DIGITS, "0") if is_hex else None,
        "last": digits.ljust(_HEX_DIGITS, "f") if is_hex else None,
        "name": name.strip(),
        "limit": limit,
    }
    return list(tx.execute(_FIND, values).scalars())


_LOCK = text("""
    SELECT g.id AS generation_id, g.job_id, g.batch_id, j.key, g.state, g.held, g.reserved, g.final, g.admitted_at
    FROM generation g JOIN job j ON j.id = g.job_id WHERE g.id = :id FOR NO KEY UPDATE OF g""")

_SPENT = text("""
    SELECT coalesce(sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits END), 0)::bigint
    FROM credit_entry WHERE generation_id = :id""")


def lock(tx: Connection, generation_id: UUID) -> Paid | None:
    """Lock the batch, then the generation; None when there is none with this id."""
    batch_id = tx.execute(text("SELECT batch_id FROM generation WHERE id = :id"), {"id": generation_id}).scalar()
    if batch_id is None:
        return None
    batches.lock(tx, batch_id)
    row = tx.execute(_LOCK, {"id": generation_id}).mappings().one()
    spent = tx.execute(_SPENT, {"id": generation_id}).scalar_one()
    return Paid(**{**row, "state": GenerationState(row["state"]), "spent": spent})


def set_final(tx: Connection, generation_id: UUID, credits_: int) -> None:
    """Note what the provider finally charged, as a person found out."""
    tx.execute(text("UPDATE generation SET final = :final WHERE id = :id"), {"final": credits_, "id": generation_id})
