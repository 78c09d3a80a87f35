"""A shop's catalog on a node: its items are imported, planned, applied and published by the real services."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.pipeline import books
from tests.pipeline.node import Node
from worker.catalog import applying, approving, importing, items, planning, publishing
from worker.catalog.applying import Applied
from worker.catalog.importing import Import
from worker.catalog.planning import Plan
from worker.catalog.publishing import SyncedResults
from worker.catalog.queries import catalogs
from worker.catalog.queries.catalogs import CatalogRow
from worker.intake.manifest import Row
from worker.intake.reference_store import ReferenceStore

NAME = "chairs"
RECIPE: dict[str, object] = {"prompt": "A {{ colour }} chair", "params": {"image_size": "square"}}

RED = {"sku": "c1", "colour": "red"}
BLUE = {"sku": "c2", "colour": "blue"}
GREEN = {"sku": "c3", "colour": "green"}

LIVE = """
    SELECT i.sku, r.parts ->> 'prompt' AS prompt FROM catalog_item i
    JOIN catalog_render r ON r.id = i.live_render_id JOIN result f ON f.job_id = r.job_id
    WHERE i.removed_at IS NULL ORDER BY i.sku"""
RENDERS = """
    SELECT i.sku, r.state FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    ORDER BY r.created_at, r.id"""
BATCHES = "SELECT name, owner, purpose, priority, token, credit_cap, size FROM batch ORDER BY created_at, id"


@dataclass(kw_only=True)
class Shop:
    """One catalog, and the questions that a test asks about it."""

    node: Node

    def bring_in(self, *rows: Mapping[str, object], **recipe: object) -> Import:
        """Import these rows with the usual recipe, changed by what is given here."""
        services = self.node.services
        wanted = importing.checked_recipe({**RECIPE, **recipe}, "recipe.toml")
        reference_store = ReferenceStore(services.store)
        numbered = [Row(line=line, raw=raw) for line, raw in enumerate(rows, start=1)]
        checked = items.prepare(numbered, wanted, base=self.node.folder, reference_store=reference_store)
        return importing.import_items(
            services.database,
            NAME,
            wanted,
            checked,
            reference_store.facts.values(),
            now=services.clock(),
            new_id=services.new_id,
        )

    def row(self) -> CatalogRow:
        with self.node.services.database.transaction() as tx:
            found = catalogs.by_name(tx, NAME)
        assert found is not None
        return found

    def plan(self, *, by: str = "ann", **wishes: Any) -> Plan:
        """Make and save a plan."""
        services = self.node.services
        with services.database.transaction() as tx:
            row = catalogs.by_name(tx, NAME)
            assert row is not None
            made = planning.make(
                tx, row, plan_id=services.new_id(), by=by, now=services.clock(), **{"approve_above": None, **wishes}
            )
            planning.save(tx, made)
        return made

    def apply(self, plan_id: UUID) -> Applied:
        services = self.node.services
        return applying.apply(
            services.database,
            plan_id,
            account_id=services.account_id,
            now=services.clock(),
            new_id=services.new_id,
        )

    def approve(self, plan_id: UUID, by: str) -> None:
        approving.approve(self.node.services.database, plan_id, by=by, now=self.node.clock())

    def sync_results(self) -> SyncedResults:
        services = self.node.services
        return publishing.sync_results(services.database, now=services.clock(), new_id=services.new_id)

    def refresh(self, **wishes: Any) -> Plan:
        """Plan, apply, render and take in the results; give the plan."""
        made = self.plan(**wishes)
        self.apply(made.id)
        self.node.run_until_quiet()
        self.sync_results()
        self.node.clock.advance(timedelta(minutes=1))
        return made

    def live(self) -> dict[str, str]:
        """Return the prompt of each item's live image."""
        return {row["sku"]: row["prompt"] for row in self.node.query(LIVE)}

    def renders(self) -> list[tuple[str, str]]:
        """Return SKU and state of every image ever asked for, in the order of asking."""
        return [(row["sku"], row["state"]) for row in self.node.query(RENDERS)]


def reasons(plan: Plan) -> dict[str, list[str]]:
    """Return what a plan says of each item: why it is rendered, or in brackets why it is kept."""
    return {
        each.sku: [f"({each.keep})"] if each.keep else [str(reason) for reason in each.reasons]
        for each in plan.outline.decisions
    }


def spent(shop: Shop) -> int:
    """Return the credits that all batches have spent."""
    return books.balance(shop.node, "spent")
