"""Removing a catalog: its open plans are refused with it, and what was rendered and paid stays on record."""

import shlex
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.catalog.queries import catalogs, items
from worker.catalog.queries import plans as catalog_plans
from worker.catalog.queries.catalogs import Uses
from worker.catalog.queries.items import ItemCounts
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError

_REASON = "the catalog was removed"


class CatalogInUse(DarkroomError):
    """A schedule plans the catalog, or images of it are being rendered; nothing was changed."""

    error_code = "catalog_in_use"

    def __init__(self, name: str, uses: Uses) -> None:
        """Keep both."""
        super().__init__(name, uses)
        self.name, self.uses = name, uses

    def __str__(self) -> str:
        """Name what uses it, with the command for each."""
        planned = [f"`darkroom schedule remove {shlex.quote(each)}`" for each in self.uses.schedules]
        rendered = [f"`darkroom cancel {each}`" for each in self.uses.batches]
        reasons = [
            *([f"a schedule plans it ({', '.join(planned)} first)"] if planned else []),
            *([f"images of it are being rendered (wait, or {', '.join(rendered)})"] if rendered else []),
        ]
        return f"catalog {self.name!r} was not removed: {'; '.join(reasons)}"


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What the removal of a catalog changes, or has changed."""

    catalog_id: UUID
    name: str
    counts: ItemCounts
    """Its items before."""
    plans: int
    """Open plans that are refused with it."""


def preview(database: Database, catalog_id: UUID, name: str) -> Removal:
    """Return what a removal would change; raise CatalogInUse."""
    with database.transaction() as tx:
        used = _expect_unused(catalogs.uses(tx, catalog_id), name)
        counts = items.count_by_state(tx, catalog_id)
    return Removal(catalog_id=catalog_id, name=name, counts=counts, plans=len(used.plans))


def remove(database: Database, catalog_id: UUID, name: str, *, by: str, now: datetime) -> Removal:
    """Remove the catalog and refuse its open plans; raise CatalogInUse, with nothing changed.

    Locks the catalog, under which a plan is applied and an import is merged.
    """
    with database.transaction() as tx:
        catalogs.lock_only(tx, catalog_id)
        used = _expect_unused(catalogs.uses(tx, catalog_id), name)
        counts = items.count_by_state(tx, catalog_id)
        for plan_id in used.plans:
            catalog_plans.refuse(tx, plan_id, by=by, reason=_REASON, now=now)
        catalogs.mark_removed(tx, catalog_id, by=by, now=now)
    return Removal(catalog_id=catalog_id, name=name, counts=counts, plans=len(used.plans))


def _expect_unused(found: Uses, name: str) -> Uses:
    if found.schedules or found.batches:
        raise CatalogInUse(name, found)
    return found
