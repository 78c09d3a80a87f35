"""Images of items in the database: asked for by a plan, and found finished when their jobs are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.catalog import RenderState
from worker.core.rules.states import JobState

_ADD = text("""
    INSERT INTO catalog_render (id, item_id, plan_id, job_id, fingerprint, parts, needs_review, state, created_at)
    SELECT asked.id, asked.item_id, :plan_id, j.id, j.fingerprint,
           jsonb_build_object('prompt', j.prompt, 'params', j.params, 'model', j.model, 'reference',
               CASE WHEN j.further_references IS NULL THEN to_jsonb(j.reference_hash)
                    ELSE to_jsonb(j.reference_hash || j.further_references) END),
           :needs_review, 'planned', :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:item_ids AS uuid[]), CAST(:skus AS text[])) AS asked(id, item_id, sku)
    JOIN job j ON j.batch_id = :batch_id AND j.key = asked.sku""")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRender:
    """One requested image, under a new id."""

    id: UUID
    item_id: UUID
    sku: str


def add(
    tx: Connection, asked: Sequence[PlannedRender], *, plan_id: UUID, batch_id: UUID, needs_review: bool, now: datetime
) -> int:
    """Write an image for each, beside its job in the batch, which has the SKU as its key; gives how many."""
    done = tx.execute(
        _ADD,
        {
            "ids": [each.id for each in asked],
            "item_ids": [each.item_id for each in asked],
            "skus": [each.sku for each in asked],
            "plan_id": plan_id,
            "batch_id": batch_id,
            "needs_review": needs_review,
            "now": now,
        },
    )
    return done.rowcount


def supersede_undecided(tx: Connection, item_ids: Sequence[UUID]) -> None:
    """Supersede the undecided images of these items: their content is out of date."""
    tx.execute(
        text("""
            UPDATE catalog_render SET state = 'superseded'
            WHERE item_id = ANY(:ids) AND state IN ('planned', 'candidate', 'failed')"""),
        {"ids": list(item_ids)},
    )


def hold_back(tx: Connection, item_ids: Sequence[UUID]) -> None:
    """Require a review of these items' open images, whatever the recipe says."""
    tx.execute(
        text("""
            UPDATE catalog_render SET needs_review = true
            WHERE item_id = ANY(:ids) AND state IN ('planned', 'candidate', 'failed') AND NOT needs_review"""),
        {"ids": list(item_ids)},
    )


def let_wait(tx: Connection, render_ids: Sequence[UUID]) -> None:
    """Require a review of these images, whatever the recipe says."""
    tx.execute(text("UPDATE catalog_render SET needs_review = true WHERE id = ANY(:ids)"), {"ids": list(render_ids)})


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedBefore:
    """An image that a plan has already requested."""

    sku: str
    fingerprint: str
    state: RenderState


def of_plan(tx: Connection, plan_id: UUID) -> dict[str, AskedBefore]:
    """Return every image that the plan has requested, by SKU."""
    rows = tx.execute(
        text("""
            SELECT i.sku, r.fingerprint, r.state FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
            WHERE r.plan_id = :id"""),
        {"id": plan_id},
    )
    return {r.sku: AskedBefore(sku=r.sku, fingerprint=r.fingerprint, state=RenderState(r.state)) for r in rows}


# An image that needs no review is a candidate only because its item was gone when it came: it waits for the item.
# The first condition is that of the index over undecided images.
_FINISHED = """
    FROM catalog_render r JOIN job j ON j.id = r.job_id JOIN catalog_item i ON i.id = r.item_id
    WHERE r.state IN ('planned', 'candidate', 'failed')
      AND CASE r.state WHEN 'planned' THEN j.state IN ('succeeded', 'failed', 'cancelled')
                       WHEN 'failed' THEN j.state = 'succeeded'
                       ELSE NOT r.needs_review AND i.removed_at IS NULL END"""


_IS_ODD = """
    EXISTS (SELECT FROM result o JOIN catalog c ON c.id = i.catalog_id
        WHERE o.job_id = r.job_id AND (o.not_as_ordered && ARRAY['format', 'animated'] OR (
            'size' = ANY(o.not_as_ordered) AND c.recipe ->> 'size_policy' = 'refuse-to-publish')))"""


def finished_catalogs(tx: Connection) -> list[UUID]:
    """Return the catalogs with finished images that are not recorded yet."""
    query = f"SELECT DISTINCT i.catalog_id {_FINISHED} ORDER BY 1"
    return list(tx.execute(text(query)).scalars())


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """An image whose job has ended."""

    id: UUID
    needs_review: bool
    has_image: bool
    is_odd: bool
    """Whether its image is of another format than was ordered, animated, or of a size that may not go live."""


def finished(tx: Connection, catalog_id: UUID, *, limit: int) -> list[Finished]:
    """Return images of the catalog that are to be taken in; the caller has locked the catalog."""
    query = f"""
        SELECT r.id, r.needs_review, j.state AS job_state, ({_IS_ODD}) AS is_odd {_FINISHED} AND i.catalog_id = :id
        ORDER BY r.id LIMIT :limit"""
    return [
        Finished(id=r.id, needs_review=r.needs_review, has_image=r.job_state == JobState.SUCCEEDED, is_odd=r.is_odd)
        for r in tx.execute(text(query), {"id": catalog_id, "limit": limit})
    ]


_SETTLE = text("""
    UPDATE catalog_render r SET rendered_at = j.ended_at,
        state = CASE WHEN j.state = 'succeeded' THEN 'candidate' ELSE 'failed' END
    FROM job j
    WHERE j.id = r.job_id AND r.id = ANY(:ids) AND r.state IN ('planned', 'failed')
      AND j.state IN ('succeeded', 'failed', 'cancelled')""")


def settle(tx: Connection, render_ids: Sequence[UUID]) -> None:
    """Mark images whose jobs succeeded as candidates, and the others as failed."""
    tx.execute(_SETTLE, {"ids": list(render_ids)})
