"""Plans in the database: written when they are saved, approved or refused at most once, applied at most once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """A saved plan."""

    id: UUID
    catalog_id: UUID
    content_hash: str
    document: Mapping[str, Any]
    price: int
    counts: Mapping[str, int]
    needs_approval: bool
    sample: int | None
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    sampled_at: datetime | None
    sample_batch_id: UUID | None
    applied_at: datetime | None
    batch_id: UUID | None
    refused_by: str | None
    refused_at: datetime | None
    refused_reason: str | None

    @property
    def is_waiting(self) -> bool:
        """Whether it needs an approval that it does not have yet."""
        return self.needs_approval and self.approved_at is None and self.applied_at is None

    @property
    def status(self) -> str:
        """Where it stands, in a few words."""
        if self.applied_at is not None:
            return "applied"
        if self.refused_at is not None:
            return "refused"
        if self.approved_at is not None:
            return "approved"
        if self.sampled_at is not None:
            return "sampled, waits for review"
        return "waits for approval" if self.needs_approval else "saved"


_COLUMNS = """id, catalog_id, content_hash, document, price, counts, needs_approval, sample, made_by, made_at,
    approved_by, approved_at, sampled_at, sample_batch_id, applied_at, batch_id, refused_by, refused_at,
    refused_reason"""

_ADD = text("""
    INSERT INTO catalog_plan (id, catalog_id, content_hash, document, price, counts, needs_approval, sample, made_by,
                              made_at)
    VALUES (:id, :catalog_id, :content_hash, :document, :price, :counts, :needs_approval, :sample, :made_by,
            :made_at)""").bindparams(bindparam("document", type_=JSONB), bindparam("counts", type_=JSONB))


def add(
    tx: Connection,
    *,
    plan_id: UUID,
    catalog_id: UUID,
    content_hash: str,
    document: Mapping[str, Any],
    price: int,
    counts: Mapping[str, int],
    needs_approval: bool,
    sample: int | None,
    made_by: str,
    made_at: datetime,
) -> None:
    """Write a plan."""
    tx.execute(
        _ADD,
        {
            "id": plan_id,
            "catalog_id": catalog_id,
            "content_hash": content_hash,
            "document": dict(document),
            "price": price,
            "counts": dict(counts),
            "needs_approval": needs_approval,
            "sample": sample,
            "made_by": made_by,
            "made_at": made_at,
        },
    )


def by_id(tx: Connection, plan_id: UUID) -> PlanRow | None:
    """Return the plan with this id."""
    row = tx.execute(text(f"SELECT {_COLUMNS} FROM catalog_plan WHERE id = :id"), {"id": plan_id}).one_or_none()
    return None if row is None else _row(row)


def newest(tx: Connection, catalog_id: UUID, *, limit: int) -> list[PlanRow]:
    """Return the newest plans of a catalog, newest first."""
    query = f"SELECT {_COLUMNS} FROM catalog_plan WHERE catalog_id = :id ORDER BY made_at DESC, id DESC LIMIT :limit"
    return [_row(r) for r in tx.execute(text(query), {"id": catalog_id, "limit": limit})]


def approve(tx: Connection, plan_id: UUID, *, by: str, now: datetime) -> bool:
    """Record who approved it; False when it is approved already, or applied."""
    changed = tx.execute(
        text("""
            UPDATE catalog_plan SET approved_by = :by, approved_at = :now
            WHERE id = :id AND approved_by IS NULL AND applied_at IS NULL"""),
        {"id": plan_id, "by": by, "now": now},
    )
    return changed.rowcount == 1


def refuse(tx: Connection, plan_id: UUID, *, by: str, reason: str, now: datetime) -> None:
    """Record a refusal and its reason; a plan that is applied or refused already is unchanged."""
    tx.execute(
        text("""
            UPDATE catalog_plan SET refused_by = :by, refused_at = :now, refused_reason = :reason
            WHERE id = :id AND refused_at IS NULL AND applied_at IS NULL"""),
        {"id": plan_id, "by": by, "reason": reason, "now": now},
    )


def waiting_sample(tx: Connection, catalog_id: UUID) -> UUID | None:
    """Return a plan of the catalog whose sample is applied and whose rest waits for a yes or a no; None without one."""
    query = """
        SELECT id FROM catalog_plan
        WHERE catalog_id = :id AND sampled_at IS NOT NULL AND applied_at IS NULL AND approved_at IS NULL
          AND refused_at IS NULL ORDER BY id LIMIT 1"""
    found: UUID | None = tx.execute(text(query), {"id": catalog_id}).scalar_one_or_none()
    return found


def record_sample(tx: Connection, plan_id: UUID, *, batch_id: UUID | None, now: datetime) -> None:
    """Record which batch the plan's sample became; the caller has locked the catalog."""
    tx.execute(
        text("UPDATE catalog_plan SET sampled_at = :now, sample_batch_id = :batch WHERE id = :id"),
        {"id": plan_id, "batch": batch_id, "now": now},
    )


def record_applied(tx: Connection, plan_id: UUID, *, batch_id: UUID | None, now: datetime) -> None:
    """Record which batch the plan became; the caller has locked the catalog."""
    tx.execute(
        text("UPDATE catalog_plan SET applied_at = :now, batch_id = :batch WHERE id = :id AND applied_at IS NULL"),
        {"id": plan_id, "batch": batch_id, "now": now},
    )


def _row(row: Any) -> PlanRow:
    return PlanRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
