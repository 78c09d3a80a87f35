"""Items of a catalog in the database, each with its live image and its undecided one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.catalog import RenderState
from worker.catalog.rules.refresh import Attempt, Content, Live, content_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemRow:
    """One item as it is stored."""

    id: UUID
    sku: str
    fields: Mapping[str, Any]
    references: tuple[str, ...]
    edited_prompt: str | None
    edited_from: str | None
    is_rejected: bool
    kept_fingerprint: str | None
    live: Live | None
    attempt: Attempt | None


_SNAPSHOT = text("""
    SELECT i.id, i.sku, i.fields, i.reference_hash, i.further_references, i.edited_prompt, i.edited_from,
           i.rejected_at IS NOT NULL, i.kept_fingerprint, l.id, l.fingerprint, coalesce(l.rendered_at, l.created_at),
           o.fingerprint, o.state,
           CASE o.state WHEN 'failed' THEN (
               SELECT count(*) FROM catalog_render x JOIN job j ON j.id = x.job_id
               WHERE x.item_id = i.id AND x.fingerprint = o.fingerprint AND j.state = 'failed'
                 AND NOT EXISTS (SELECT FROM catalog_render y JOIN job k ON k.id = y.job_id
                                 WHERE y.item_id = i.id AND y.id > x.id AND k.state = 'succeeded')) ELSE 0 END
    FROM catalog_item i
    LEFT JOIN catalog_render l ON l.id = i.live_render_id
    LEFT JOIN catalog_render o ON o.item_id = i.id AND o.state IN ('planned', 'candidate', 'failed')
    WHERE i.catalog_id = :id AND i.removed_at IS NULL AND (cast(:skus AS text[]) IS NULL OR i.sku = ANY(:skus))
    ORDER BY i.position, i.sku""")


def snapshot(tx: Connection, catalog_id: UUID, skus: Sequence[str] | None = None) -> Iterator[ItemRow]:
    """Yield every item that is not removed, or those of these ``skus``, in the order of the last import.

    What the live images were made from is not among it: ``contents`` has that, for the few that need it.
    """
    for row in tx.execute(_SNAPSHOT, {"id": catalog_id, "skus": None if skus is None else list(skus)}):
        # Unpacked by place: for a large catalog this is the time that a plan takes.
        (
            id_,
            sku,
            fields,
            reference,
            further,
            edited,
            edited_from,
            is_rejected,
            kept,
            live_id,
            live,
            live_at,
            *attempt,
        ) = row
        open_, state, failures = attempt
        yield ItemRow(
            id=id_,
            sku=sku,
            fields=fields,
            references=() if reference is None else (reference, *(further or ())),
            edited_prompt=edited,
            edited_from=edited_from,
            is_rejected=is_rejected,
            kept_fingerprint=kept,
            live=Live(render_id=live_id, fingerprint=live, rendered_at=live_at) if live_id else None,
            attempt=Attempt(fingerprint=open_, state=RenderState(state), failures=failures) if state else None,
        )


def contents(tx: Connection, render_ids: Sequence[UUID]) -> dict[UUID, Content]:
    """Return what these images were made from."""
    query = text("SELECT id, parts FROM catalog_render WHERE id = ANY(:ids)")
    return {r.id: content_of(r.parts) for r in tx.execute(query, {"ids": list(render_ids)})}


def clear_rejections(tx: Connection, item_ids: Sequence[UUID]) -> None:
    """Forget that the items' last images were rejected: they are being rendered again."""
    tx.execute(
        text("UPDATE catalog_item SET rejected_at = NULL WHERE id = ANY(:ids) AND rejected_at IS NOT NULL"),
        {"ids": list(item_ids)},
    )


@dataclass(frozen=True, kw_only=True)
class ItemCounts:
    """How a catalog's items stand, in numbers; removed ones are not counted with the others."""

    items: int
    live: int
    rendering: int
    candidates: int
    failed: int
    rejected: int
    """Waiting for the next plan to render them again."""
    removed: int


_STANDING = text("""
    SELECT count(*) FILTER (WHERE NOT gone) AS items, count(*) FILTER (WHERE NOT gone AND has_live) AS live,
           count(*) FILTER (WHERE NOT gone AND state = 'planned') AS rendering,
           count(*) FILTER (WHERE NOT gone AND state = 'candidate') AS candidates,
           count(*) FILTER (WHERE NOT gone AND state = 'failed') AS failed,
           count(*) FILTER (WHERE NOT gone AND is_rejected) AS rejected, count(*) FILTER (WHERE gone) AS removed
    FROM (SELECT i.removed_at IS NOT NULL AS gone, i.live_render_id IS NOT NULL AS has_live,
                 i.rejected_at IS NOT NULL AS is_rejected, o.state
          FROM catalog_item i
          LEFT JOIN catalog_render o ON o.item_id = i.id AND o.state IN ('planned', 'candidate', 'failed')
          WHERE i.catalog_id = :id) each""")


def count_by_state(tx: Connection, catalog_id: UUID) -> ItemCounts:
    """Count the catalog's items by where they stand."""
    row = tx.execute(_STANDING, {"id": catalog_id}).one()
    return ItemCounts(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
