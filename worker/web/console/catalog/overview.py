"""Catalogs: how the items of each stand, what waits for review or approval, and its newest plans."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from worker.catalog.queries import catalogs, items, plans, review_queue
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.items import ItemCounts
from worker.catalog.queries.plans import PlanRow
from worker.catalog.queries.review_queue import WaitingImages
from worker.web.console.page import Visit

_PLANS = 3


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """One catalog."""

    row: CatalogRow
    counts: ItemCounts
    waiting: WaitingImages
    plans: Sequence[PlanRow]


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        waiting = review_queue.waiting(tx)
        found = [
            Catalog(
                row=row,
                counts=items.count_by_state(tx, row.id),
                waiting=waiting.get(row.id, WaitingImages()),
                plans=plans.newest(tx, row.id, limit=_PLANS),
            )
            for row in catalogs.all_by_name(tx)
        ]
    did = "The catalog is removed. An import under its name brings it back." if visit.asked("did") else ""
    return visit.render("catalog/overview.html", catalogs=found, did=did)
