"""One decision on many images of a catalog, as a bulk operation: frozen with its filter, saved image by image.

A decision is saved as a reviewer saves it: nothing goes live before all that are saved are applied together, and
whoever looks at an image, or has decided on it, is not overruled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from worker.batches.bulk_operations import tell_previewed
from worker.batches.queries import bulk_operations
from worker.batches.queries.bulk_operations import Claimed, ImageTarget, OperationRow
from worker.batches.rules.bulk_operation import BulkAction
from worker.catalog import decisions, reviewing
from worker.catalog.queries import review_queue
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.review_queue import ImageFilter, Queue
from worker.catalog.reviewing import DecisionRefused
from worker.catalog.rules.decisions import Decision, Verdict, reason_of
from worker.core.db.changes import Author
from worker.core.db.session import Database


@dataclass(frozen=True, kw_only=True)
class BulkDecision:
    """What is decided about every image that matches."""

    verdict: Verdict
    wanted: ImageFilter


def preview(database: Database, catalog: CatalogRow, wanted: ImageFilter) -> list[ImageTarget]:
    """Return the undecided images that match; nothing is kept."""
    with database.bulk_transaction() as tx:
        return review_queue.find_targets(tx, catalog.id, catalog.name, wanted)


def create(
    database: Database,
    by: Author,
    catalog: CatalogRow,
    order: BulkDecision,
    targets: Sequence[ImageTarget] | None = None,
) -> OperationRow:
    """Keep an operation with the images that were previewed, or else with those that match now; it is not started.

    The author's reason is kept with each rejected image; raises UnfitError when it is too long for that.
    """
    reason = reason_of(by.reason)
    operation_id = by.new_id()
    with database.bulk_transaction() as tx:
        bulk_operations.add(
            tx,
            operation_id,
            BulkAction.DECIDE,
            selection={"catalog": catalog.name, **order.wanted.as_json()},
            parameters={"verdict": order.verdict, "catalog_id": str(catalog.id), "reason": reason},
            by=by,
            targets=review_queue.find_targets(tx, catalog.id, catalog.name, order.wanted)
            if targets is None
            else targets,
        )
        found = bulk_operations.read(tx, operation_id)
    assert found is not None
    tell_previewed(found)
    return found


def decide_item(tx: Connection, item: Claimed, by: Author) -> None:
    """Save the decision on one image, in its author's name.

    Raises DecidedMeanwhile, ClaimedByAnother and DecisionRefused. Whether the store has the image is asked when it is
    to go live, and not within this transaction.
    """
    assert item.render_id is not None
    assert item.sku is not None
    verdict = Verdict(item.parameters["verdict"])
    queue = Queue(catalog_id=UUID(item.parameters["catalog_id"]), reviewer=by.actor, now=by.now)
    decision = Decision(
        sku=item.sku,
        render_id=item.render_id,
        verdict=verdict,
        reason=item.parameters["reason"] if verdict is Verdict.REJECT else None,
        said_at=by.now,
    )
    saved = reviewing.save_within(
        tx,
        queue,
        decision,
        seen=0,
        objection=lambda: decisions.objection_within(tx, queue.catalog_id, decision, now=by.now),
    )
    if saved is None:
        raise DecisionRefused("the catalog has no such image any more")
