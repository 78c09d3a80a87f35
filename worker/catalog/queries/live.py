"""Which image of an item is live, since when, and which were live before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.catalog import RenderState
from worker.core.db.session import Database
from worker.engine.queries.results import Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class WentLive:
    """An item whose live image was changed, and the image that it has now."""

    catalog_id: UUID
    item_id: UUID
    sku: str
    render_id: UUID
    before_id: UUID | None
    """The image that was live until now."""
    image: Stored


_LOCK = text("""
    SELECT 1 FROM catalog_item
    WHERE id IN (SELECT item_id FROM catalog_render WHERE id = ANY(:ids)) ORDER BY id FOR NO KEY UPDATE""")
# The rows of the chosen items are locked before, so that the snapshot of this statement is younger than any other
# decision about them. An older image that is brought back keeps the item from being rendered again for the content
# that it had: kept_fingerprint.
_CHANGE = text("""
    WITH going AS (
        SELECT i.id AS item_id, i.catalog_id, i.sku, i.live_render_id AS before_id, chosen.live_id,
               r.id AS render_id, r.job_id, r.fingerprint, r.state AS from_state,
               coalesce(i.kept_fingerprint, b.fingerprint) AS wanted
        FROM unnest(cast(:ids AS uuid[]), cast(:live_ids AS uuid[])) AS chosen (render_id, live_id)
        JOIN catalog_render r ON r.id = chosen.render_id AND r.state = ANY(:states)
        JOIN catalog_item i ON i.id = r.item_id AND i.removed_at IS NULL AND i.live_render_id IS DISTINCT FROM r.id
        JOIN catalog c ON c.id = i.catalog_id
        JOIN result o ON o.job_id = r.job_id AND NOT (
            r.state IN ('candidate', 'rejected') AND 'size' = ANY(o.not_as_ordered)
            AND coalesce(c.recipe ->> 'size_policy' = 'refuse-to-publish', false))
        LEFT JOIN catalog_render b ON b.id = i.live_render_id
    ), raised AS (
        UPDATE catalog_render r SET state = 'live', decided_at = :now, decided_by = :actor,
               rendered_at = coalesce(r.rendered_at, :now)
        FROM going WHERE r.id = going.render_id
    ), lowered AS (
        UPDATE catalog_render r SET state = 'superseded' FROM going WHERE r.id = going.before_id
    ), shown AS (
        UPDATE catalog_item i SET live_render_id = going.render_id,
               rejected_at = CASE WHEN going.from_state = 'superseded' THEN i.rejected_at END,
               kept_fingerprint = CASE WHEN going.from_state = 'superseded' AND going.fingerprint <> going.wanted
                                       THEN going.wanted END
        FROM going WHERE i.id = going.item_id
    ), written AS (
        INSERT INTO catalog_live (id, item_id, render_id, from_at, actor, reason)
        SELECT live_id, item_id, render_id, :now, :actor, :reason FROM going
    )
    SELECT going.catalog_id, going.item_id, going.sku, going.render_id, going.before_id,
           f.path, f.sha256, f.size_bytes, f.mime_type, f.width, f.height
    FROM going JOIN result f ON f.job_id = going.job_id ORDER BY going.sku""")


def go_live(
    tx: Connection,
    render_ids: Sequence[UUID],
    *,
    states: Sequence[RenderState],
    actor: str,
    reason: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[WentLive]:
    """Make each of these images the live one of its item, all in one statement; give those that were changed.

    Left alone: an image in none of the ``states``, one that is live already, one of an item that was removed, a new
    one of another size than was ordered where the recipe refuses to publish such.
    No two of the images may be of one item.
    """
    if not render_ids:
        return []
    tx.execute(_LOCK, {"ids": list(render_ids)})
    values = {"ids": list(render_ids), "live_ids": [new_id() for _ in render_ids], "states": list(states)}
    rows = tx.execute(_CHANGE, values | {"actor": actor, "reason": reason, "now": now})
    return [_went_live(row) for row in rows]


_SHOWN = text("""
    SELECT i.catalog_id, i.id AS item_id, i.sku, r.id AS render_id, r.id AS before_id,
           f.path, f.sha256, f.size_bytes, f.mime_type, f.width, f.height
    FROM catalog_item i JOIN catalog_render r ON r.id = i.live_render_id JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id AND i.sku = ANY(:skus) ORDER BY i.sku""")


def shown_by(tx: Connection, catalog_id: UUID, skus: Sequence[str]) -> list[WentLive]:
    """Return what these items show, for those that show an image."""
    return [_went_live(row) for row in tx.execute(_SHOWN, {"catalog_id": catalog_id, "skus": list(skus)})]


def _went_live(row: Any) -> WentLive:
    return WentLive(
        catalog_id=row.catalog_id,
        item_id=row.item_id,
        sku=row.sku,
        render_id=row.render_id,
        before_id=row.before_id,
        image=Stored(
            path=row.path,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            mime_type=row.mime_type,
            width=row.width,
            height=row.height,
        ),
    )


PAGE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveChange:
    """An image that went live."""

    render_id: UUID
    from_at: datetime
    actor: str
    reason: str
    path: str
    sha256: str
    prompt: str
    is_live: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveItem:
    """An item and the image that it shows."""

    sku: str
    render_id: UUID
    path: str
    sha256: str
    mime_type: str
    width: int
    height: int
    live_since: datetime


_HISTORY = text("""
    SELECT v.render_id, v.from_at, v.actor, v.reason, f.path, f.sha256, r.parts ->> 'prompt' AS prompt,
           i.live_render_id = v.render_id AND v.from_at = max(v.from_at) OVER () AS is_live
    FROM catalog_item i JOIN catalog_live v ON v.item_id = i.id
    JOIN catalog_render r ON r.id = v.render_id JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id AND i.sku = :sku ORDER BY v.from_at, v.id""")


def history_of(tx: Connection, catalog_id: UUID, sku: str) -> list[LiveChange]:
    """Return each image that was live for the item, oldest first."""
    return [LiveChange(**row) for row in tx.execute(_HISTORY, {"catalog_id": catalog_id, "sku": sku}).mappings()]


_UNKNOWN = text("""
    SELECT sku FROM unnest(cast(:skus AS text[])) AS asked (sku)
    WHERE NOT EXISTS (SELECT 1 FROM catalog_item i
                      WHERE i.catalog_id = :catalog_id AND i.sku = asked.sku AND i.removed_at IS NULL)""")


def unknown_skus(tx: Connection, catalog_id: UUID, skus: Sequence[str]) -> list[str]:
    """Return those of the SKUs that the catalog does not have."""
    return list(tx.execute(_UNKNOWN, {"catalog_id": catalog_id, "skus": list(skus)}).scalars())


_AT = text("""
    SELECT i.id AS item_id, i.sku, i.live_render_id, (
        SELECT v.render_id FROM catalog_live v WHERE v.item_id = i.id AND v.from_at <= :instant
        ORDER BY v.from_at DESC, v.id DESC LIMIT 1) AS render_id
    FROM catalog_item i
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL
      AND (cast(:skus AS text[]) IS NULL OR i.sku = ANY(:skus)) ORDER BY i.sku""")


@dataclass(frozen=True, kw_only=True, slots=True)
class PastImage:
    """The image that an item shows, and the one that it showed at an earlier instant."""

    item_id: UUID
    sku: str
    live_render_id: UUID | None
    render_id: UUID | None
    """None when it showed nothing then."""


def live_at(tx: Connection, catalog_id: UUID, instant: datetime, skus: Sequence[str] | None) -> list[PastImage]:
    """Return what each item showed at the instant; None stands for all items."""
    asked = {"catalog_id": catalog_id, "instant": instant, "skus": None if skus is None else list(skus)}
    return [PastImage(**row) for row in tx.execute(_AT, asked).mappings()]


_WITH_RENDER = text("""
    SELECT i.id AS item_id, i.sku, i.live_render_id, r.id AS render_id
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE r.id = :render_id AND i.catalog_id = :catalog_id AND i.removed_at IS NULL
      AND EXISTS (SELECT 1 FROM catalog_live v WHERE v.render_id = r.id)""")


def with_render(tx: Connection, catalog_id: UUID, render_id: UUID) -> PastImage | None:
    """Return the item that showed this image at some time; None when none did."""
    asked = {"catalog_id": catalog_id, "render_id": render_id}
    row = tx.execute(_WITH_RENDER, asked).mappings().one_or_none()
    return None if row is None else PastImage(**row)


_LIVE = text("""
    SELECT i.sku, i.live_render_id AS render_id, f.path, f.sha256, f.mime_type, f.width, f.height,
           (SELECT max(from_at) FROM catalog_live v WHERE v.item_id = i.id) AS live_since
    FROM catalog_item i JOIN catalog_render r ON r.id = i.live_render_id JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL AND i.sku COLLATE "C" > :sku
    ORDER BY i.sku COLLATE "C" LIMIT :limit""")


def live_now(database: Database, catalog_id: UUID) -> Iterator[LiveItem]:
    """Yield every item that shows an image, in the order of the SKUs' bytes, whatever the database's language is.

    All of them as they are at one instant: what goes live while they are read is not among them.
    """
    sku = ""
    with database.bulk_transaction(is_snapshot=True) as tx:
        while True:
            asked = {"catalog_id": catalog_id, "sku": sku, "limit": PAGE}
            rows = [LiveItem(**row) for row in tx.execute(_LIVE, asked).mappings()]
            yield from rows
            if len(rows) < PAGE:
                return
            sku = rows[-1].sku
