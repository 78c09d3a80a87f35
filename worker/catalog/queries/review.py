"""New images that wait for a decision: beside what is live, and the outcome of those that were decided."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.catalog import RenderState
from worker.core.db.session import Database

PAGE = 200
"""Images that are read at once; each page is a short transaction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """An image as a sheet shows it."""

    path: str
    parts: Mapping[str, Any]
    """What it was made from: prompt, params, model, reference."""
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A new image, and the live one that it would replace, if any."""

    render_id: UUID
    sku: str
    fingerprint: str
    """Of what the new image was made from."""
    new: Shown
    live: Shown | None
    live_since: datetime | None
    not_as_ordered: tuple[str, ...]
    """In what the new image differs from what was ordered."""
    is_refused: bool
    """Whether the recipe refuses to publish an image of its size."""
    rejected_before: tuple[str, ...]
    """Why earlier images of the item were rejected, newest first; those without a reason are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewStatus:
    """The state of an image when a decision about it arrives."""

    render_id: UUID
    catalog_id: UUID
    sku: str
    state: RenderState
    model: str
    fingerprint: str
    path: str | None
    """Of its image in the store; None while there is none."""
    is_removed: bool
    is_refused: bool
    """Whether the recipe refuses to publish an image of its size."""


_WAITING = text("""
    SELECT count(*) FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE i.catalog_id = :id AND r.state = 'candidate' AND i.removed_at IS NULL""")

COLUMNS = """r.id, i.sku, i.position, r.fingerprint, r.parts, f.path, f.width, f.height, f.not_as_ordered,
           coalesce('size' = ANY(f.not_as_ordered)
        AND c.recipe ->> 'size_policy' = 'refuse-to-publish', false) AS is_refused,
           l.parts AS live_parts, g.path AS live_path, g.width AS live_width, g.height AS live_height,
           (SELECT max(from_at) FROM catalog_live v WHERE v.item_id = i.id) AS live_since,
           ARRAY(SELECT x.reason FROM catalog_rejection x WHERE x.item_id = i.id AND x.reason IS NOT NULL
                 ORDER BY x.at DESC, x.id DESC LIMIT 3) AS rejected_before"""
TABLES = """catalog_item i
    JOIN catalog c ON c.id = i.catalog_id
    JOIN catalog_render r ON r.item_id = i.id AND r.state = 'candidate'
    JOIN result f ON f.job_id = r.job_id
    LEFT JOIN catalog_render l ON l.id = i.live_render_id
    LEFT JOIN result g ON g.job_id = l.job_id"""
"""What ``candidate`` reads, and where it stands."""

_PAGE = text(f"""
    SELECT {COLUMNS} FROM {TABLES}
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL AND (i.position, i.sku) > (:position, :sku)
    ORDER BY i.position, i.sku LIMIT :limit""")


def count(tx: Connection, catalog_id: UUID) -> int:
    """Count the images that wait for a decision."""
    return int(tx.execute(_WAITING, {"id": catalog_id}).scalar_one())


def candidates(database: Database, catalog_id: UUID) -> Iterator[Candidate]:
    """Yield the images that wait, in the order of the last import, each page as it stands when it is read."""
    position, sku = -1, ""
    while True:
        with database.transaction() as tx:
            asked = {"catalog_id": catalog_id, "position": position, "sku": sku, "limit": PAGE}
            rows = tx.execute(_PAGE, asked).all()
        yield from map(candidate, rows)
        if len(rows) < PAGE:
            return
        position, sku = rows[-1].position, rows[-1].sku


def candidate(row: Any) -> Candidate:
    """Return the image of a row of ``COLUMNS``."""
    live = None
    if row.live_path is not None:
        live = Shown(path=row.live_path, parts=row.live_parts, width=row.live_width, height=row.live_height)
    return Candidate(
        render_id=row.id,
        sku=row.sku,
        fingerprint=row.fingerprint,
        new=Shown(path=row.path, parts=row.parts, width=row.width, height=row.height),
        live=live,
        live_since=row.live_since if live else None,
        not_as_ordered=tuple(row.not_as_ordered),
        is_refused=row.is_refused,
        rejected_before=tuple(row.rejected_before),
    )


_LOCK = text("""
    SELECT 1 FROM catalog_item
    WHERE id IN (SELECT item_id FROM catalog_render WHERE id = ANY(:ids)) ORDER BY id FOR NO KEY UPDATE""")

_STANDINGS = text("""
    SELECT r.id AS render_id, i.catalog_id, i.sku, r.state, r.parts ->> 'model' AS model, r.fingerprint, f.path,
           i.removed_at IS NOT NULL AS is_removed, coalesce('size' = ANY(f.not_as_ordered)
        AND c.recipe ->> 'size_policy' = 'refuse-to-publish', false) AS is_refused
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id JOIN catalog c ON c.id = i.catalog_id
    LEFT JOIN result f ON f.job_id = r.job_id
    WHERE r.id = ANY(:ids)""")


def lock_statuses(tx: Connection, render_ids: Sequence[UUID]) -> dict[UUID, ReviewStatus]:
    """Lock the items of these images and return the state of each; missing images are left out."""
    tx.execute(_LOCK, {"ids": list(render_ids)})
    return statuses(tx, render_ids)


def statuses(tx: Connection, render_ids: Sequence[UUID]) -> dict[UUID, ReviewStatus]:
    """Return the state of each of these images; missing images are left out."""
    rows = tx.execute(_STANDINGS, {"ids": list(render_ids)}).mappings()
    return {row["render_id"]: ReviewStatus(**{**row, "state": RenderState(row["state"])}) for row in rows}
