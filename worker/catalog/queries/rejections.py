"""Rejections of images: written once with who, when and why, and whether one can still be taken back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.session import Database

PAGE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """What is written when an image is rejected."""

    render_id: UUID
    said_at: datetime
    """When the person decided it: when the file of decisions was saved."""
    reason: str | None = None
    prompt: str | None = None
    """The reviewer's own prompt for the next try."""


# A reviewer's own words take the place of the recipe's prompt, and not of an earlier reviewer's: edited_from stays
# the recipe's. An item is not rendered again for a rejection when a person has chosen what it shows since the image
# was asked for, unless the reviewer wrote a prompt for it.
_REJECT = text("""
    WITH chosen AS (
        SELECT * FROM unnest(cast(:ids AS uuid[]), cast(:render_ids AS uuid[]), cast(:said_ats AS timestamptz[]),
                             cast(:reasons AS text[]), cast(:prompts AS text[]))
            AS chosen (id, render_id, said_at, reason, prompt)
    ), marked AS (
        UPDATE catalog_render r SET state = 'rejected', decided_at = :now, decided_by = :actor
        FROM chosen WHERE r.id = chosen.render_id AND r.state = 'candidate'
        RETURNING r.item_id, r.created_at, r.parts ->> 'prompt' AS was, chosen.*
    ), written AS (
        INSERT INTO catalog_rejection (id, item_id, render_id, at, said_at, actor, reason, prompt)
        SELECT id, item_id, render_id, :now, least(said_at, :now), :actor, reason, prompt FROM marked
    )
    UPDATE catalog_item i SET
        rejected_at = CASE WHEN marked.prompt IS NULL AND EXISTS (
                               SELECT FROM catalog_live v WHERE v.item_id = i.id AND v.render_id = i.live_render_id
                                  AND v.from_at >= marked.created_at)
                           THEN i.rejected_at ELSE :now END,
        edited_prompt = coalesce(marked.prompt, i.edited_prompt),
        edited_from = CASE WHEN marked.prompt IS NULL OR i.edited_prompt = marked.was THEN i.edited_from
                           ELSE marked.was END
    FROM marked WHERE i.id = marked.item_id RETURNING i.sku""")


def reject(
    tx: Connection, chosen: Sequence[Rejection], *, actor: str, now: datetime, new_id: Callable[[], UUID]
) -> list[str]:
    """Reject these candidates and return their SKUs; other images are skipped."""
    if not chosen:
        return []
    values = {
        "ids": [new_id() for _ in chosen],
        "render_ids": [each.render_id for each in chosen],
        "said_ats": [each.said_at for each in chosen],
        "reasons": [each.reason for each in chosen],
        "prompts": [each.prompt for each in chosen],
        "actor": actor,
        "now": now,
    }
    return sorted(tx.execute(_REJECT, values).scalars())


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """What matters for taking back the newest rejection of an image."""

    render_id: UUID
    said_at: datetime
    by: str
    parts: Mapping[str, Any]
    """What the image was made from."""
    edited_prompt: str | None
    edited_from: str | None
    is_last_edit: bool
    """Whether the item's edited prompt was written with this rejection."""
    is_replaced: bool
    """Whether an image that was asked for later is live."""
    waiting_id: UUID | None
    """The later image of the item that waits for a decision."""
    rendering_batch_id: UUID | None
    """The batch in which the item is being rendered again, up to an end that is known."""


_REJECTED = text("""
    SELECT DISTINCT ON (r.id) r.id AS render_id, x.said_at, x.actor AS by, r.parts, i.edited_prompt, i.edited_from,
           coalesce(x.prompt = i.edited_prompt, false) AS is_last_edit,
           coalesce(l.created_at > r.created_at, false) AS is_replaced,
           CASE WHEN o.state = 'candidate' THEN o.id END AS waiting_id,
           CASE WHEN o.state = 'planned' OR j.state NOT IN ('succeeded', 'failed', 'cancelled')
                THEN j.batch_id END AS rendering_batch_id
    FROM catalog_rejection x JOIN catalog_render r ON r.id = x.render_id JOIN catalog_item i ON i.id = r.item_id
    LEFT JOIN catalog_render l ON l.id = i.live_render_id
    LEFT JOIN catalog_render o ON o.item_id = i.id AND o.state IN ('planned', 'candidate', 'failed')
    LEFT JOIN job j ON j.id = o.job_id
    WHERE r.id = ANY(:ids) ORDER BY r.id, x.at DESC, x.id DESC""")


def newest(tx: Connection, render_ids: Sequence[UUID]) -> dict[UUID, Rejected]:
    """Return the newest rejection of each of these images that was ever rejected."""
    rows = tx.execute(_REJECTED, {"ids": list(render_ids)}).mappings()
    return {row["render_id"]: Rejected(**row) for row in rows}


_RESTORE_PROMPT = text("""
    UPDATE catalog_item i SET edited_prompt = nullif(r.parts ->> 'prompt', i.edited_from),
        edited_from = CASE WHEN r.parts ->> 'prompt' = i.edited_from THEN NULL ELSE i.edited_from END
    FROM catalog_render r WHERE r.id = ANY(:ids) AND i.id = r.item_id AND i.edited_prompt <> r.parts ->> 'prompt'""")


def restore_prompts(tx: Connection, render_ids: Sequence[UUID]) -> None:
    """Set the items' edited prompts back to those that these images were made from."""
    tx.execute(_RESTORE_PROMPT, {"ids": list(render_ids)})


_NAMED = text("""
    SELECT DISTINCT ON (asked.name) asked.name, i.sku, r.id AS render_id
    FROM unnest(cast(:names AS text[])) AS asked (name)
    JOIN catalog_item i ON i.catalog_id = :catalog_id
    JOIN catalog_render r ON r.item_id = i.id AND r.state IN ('candidate', 'rejected')
    WHERE i.sku = asked.name OR r.id::text = lower(asked.name)
    ORDER BY asked.name, i.sku = asked.name DESC, r.state = 'candidate' DESC, r.created_at DESC, r.id DESC""")


def named(tx: Connection, catalog_id: UUID, names: Sequence[str]) -> dict[str, tuple[str, UUID]]:
    """Return SKU and image for each name, which is a SKU or the id of an image.

    For a SKU it is the image that waits for a decision, or else the newest one that was rejected.
    """
    rows = tx.execute(_NAMED, {"catalog_id": catalog_id, "names": list(names)})
    return {row.name: (row.sku, row.render_id) for row in rows}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A rejection as it is listed."""

    id: UUID
    sku: str
    render_id: UUID
    at: datetime
    by: str
    reason: str | None
    next_prompt: str | None
    """The reviewer's own prompt for the next try."""
    prompt: str
    """What the image was made from."""
    state: str
    """What the image is now: rejected, or live or superseded after the rejection was taken back."""
    path: str
    sha256: str


_LISTED = """
    SELECT x.id, i.sku, x.render_id, x.at, x.actor AS by, x.reason, x.prompt AS next_prompt,
           r.parts ->> 'prompt' AS prompt, r.state, f.path, f.sha256
    FROM catalog_rejection x JOIN catalog_item i ON i.id = x.item_id JOIN catalog_render r ON r.id = x.render_id
    JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id"""


def recent(tx: Connection, catalog_id: UUID, *, limit: int) -> list[Listed]:
    """Return the newest rejections that were not taken back, newest first."""
    query = text(f"{_LISTED} AND r.state = 'rejected' AND i.removed_at IS NULL ORDER BY x.at DESC, x.id DESC LIMIT :n")
    return [Listed(**row) for row in tx.execute(query, {"catalog_id": catalog_id, "n": limit}).mappings()]


def of(tx: Connection, catalog_id: UUID, sku: str) -> list[Listed]:
    """Return every rejection of an item's images, oldest first."""
    query = text(f"{_LISTED} AND i.sku = :sku ORDER BY x.at, x.id")
    return [Listed(**row) for row in tx.execute(query, {"catalog_id": catalog_id, "sku": sku}).mappings()]


def every(database: Database, catalog_id: UUID) -> Iterator[Listed]:
    """Yield every rejection of the catalog in the order of the SKUs' bytes, all as they are at one instant."""
    query = text(f"""{_LISTED} AND (i.sku COLLATE "C", x.id) > (:sku, :id)
        ORDER BY i.sku COLLATE "C", x.id LIMIT :limit""")
    sku, last = "", UUID(int=0)
    with database.bulk_transaction(is_snapshot=True) as tx:
        while True:
            asked = {"catalog_id": catalog_id, "sku": sku, "id": last, "limit": PAGE}
            rows = [Listed(**row) for row in tx.execute(query, asked).mappings()]
            yield from rows
            if len(rows) < PAGE:
                return
            sku, last = rows[-1].sku, rows[-1].id
