"""What was live when: the history of each item, and the set as it is now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.session import Database

PAGE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
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


def of(tx: Connection, catalog_id: UUID, sku: str) -> list[Change]:
    """Return each image that was live for the item, oldest first."""
    return [Change(**row) for row in tx.execute(_HISTORY, {"catalog_id": catalog_id, "sku": sku}).mappings()]


_UNKNOWN = text("""
    SELECT sku FROM unnest(cast(:skus AS text[])) AS asked (sku)
    WHERE NOT EXISTS (SELECT 1 FROM catalog_item i
                      WHERE i.catalog_id = :catalog_id AND i.sku = asked.sku AND i.removed_at IS NULL)""")


def unknown(tx: Connection, catalog_id: UUID, skus: Sequence[str]) -> list[str]:
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
class Then:
    """What an item shows, and what it showed at an earlier instant."""

    item_id: UUID
    sku: str
    live_render_id: UUID | None
    render_id: UUID | None
    """None when it showed nothing then."""


def at(tx: Connection, catalog_id: UUID, instant: datetime, skus: Sequence[str] | None) -> list[Then]:
    """Return what each item showed at the instant; None stands for all items."""
    asked = {"catalog_id": catalog_id, "instant": instant, "skus": None if skus is None else list(skus)}
    return [Then(**row) for row in tx.execute(_AT, asked).mappings()]


_WITH_RENDER = text("""
    SELECT i.id AS item_id, i.sku, i.live_render_id, r.id AS render_id
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE r.id = :render_id AND i.catalog_id = :catalog_id AND i.removed_at IS NULL
      AND EXISTS (SELECT 1 FROM catalog_live v WHERE v.render_id = r.id)""")


def with_render(tx: Connection, catalog_id: UUID, render_id: UUID) -> Then | None:
    """Return the item that showed this image at some time; None when none did."""
    asked = {"catalog_id": catalog_id, "render_id": render_id}
    row = tx.execute(_WITH_RENDER, asked).mappings().one_or_none()
    return None if row is None else Then(**row)


_LIVE = text("""
    SELECT i.sku, i.live_render_id AS render_id, f.path, f.sha256, f.mime_type, f.width, f.height,
           (SELECT max(from_at) FROM catalog_live v WHERE v.item_id = i.id) AS live_since
    FROM catalog_item i JOIN catalog_render r ON r.id = i.live_render_id JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL AND i.sku COLLATE "C" > :sku
    ORDER BY i.sku COLLATE "C" LIMIT :limit""")


def live(database: Database, catalog_id: UUID) -> Iterator[LiveItem]:
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
