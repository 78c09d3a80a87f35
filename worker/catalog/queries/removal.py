"""What still uses a catalog, and its removal: rows are marked, and none is deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What plans or renders a catalog at this moment."""

    schedules: Sequence[str]
    """The names of schedules that plan it."""
    batches: Sequence[UUID]
    """Batches that render images of it."""
    plans: Sequence[UUID]
    """Plans that are neither applied nor refused."""


_SCHEDULES = text("SELECT name FROM schedule WHERE catalog_id = :id AND removed_at IS NULL ORDER BY name")
_BATCHES = text("""
    SELECT DISTINCT j.batch_id
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id JOIN job j ON j.id = r.job_id
    WHERE i.catalog_id = :id AND j.state IN ('pending', 'active') ORDER BY 1""")
_PLANS = text("""
    SELECT id FROM catalog_plan WHERE catalog_id = :id AND applied_at IS NULL AND refused_at IS NULL ORDER BY id""")


def uses(tx: Connection, catalog_id: UUID) -> Uses:
    """Return what uses the catalog; exact while the catalog is locked."""
    key = {"id": catalog_id}
    return Uses(
        schedules=tx.execute(_SCHEDULES, key).scalars().all(),
        batches=tx.execute(_BATCHES, key).scalars().all(),
        plans=tx.execute(_PLANS, key).scalars().all(),
    )


def mark(tx: Connection, catalog_id: UUID, *, by: str, now: datetime) -> None:
    """Mark the catalog and its items as removed; images, history and ledger stay as they are."""
    values = {"id": catalog_id, "by": by, "now": now}
    items = "UPDATE catalog_item SET removed_at = :now WHERE catalog_id = :id AND removed_at IS NULL"
    tx.execute(text(items), values)
    tx.execute(text("UPDATE catalog SET removed_at = :now, removed_by = :by WHERE id = :id"), values)
