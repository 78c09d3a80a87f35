"""Decisions that are saved and not applied yet, and which reviewer looks at which image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.decisions import Decision, DecisionOutcome, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """The decision about an image that would be applied now."""

    number: int
    """Its place among the decisions about the image, from 1."""
    verdict: Verdict
    reason: str | None
    prompt: str | None
    by: str
    at: datetime


_CURRENT = text("""
    SELECT DISTINCT ON (render_id) render_id, number, verdict, reason, prompt, actor AS by, decided_at AS at
    FROM catalog_decision WHERE render_id = ANY(:ids) AND outcome IS NULL ORDER BY render_id, number DESC""")


def current(tx: Connection, render_ids: Sequence[UUID]) -> dict[UUID, Saved]:
    """Return the decisions that wait about these images; exact while their items are locked."""
    rows = tx.execute(_CURRENT, {"ids": list(render_ids)}).mappings()
    return {row["render_id"]: _saved({name: row[name] for name in Saved.__slots__}) for row in rows}


def _saved(values: dict[str, object]) -> Saved:
    return Saved(**{**values, "verdict": Verdict(str(values["verdict"]))})  # type: ignore[arg-type]  # a row's columns


_ADD = text("""
    INSERT INTO catalog_decision (render_id, number, verdict, reason, prompt, actor, decided_at)
    SELECT :render_id, coalesce(max(number), 0) + 1, :verdict, :reason, :prompt, :actor, :now
    FROM catalog_decision WHERE render_id = :render_id""")


def add(tx: Connection, decision: Decision, *, actor: str, now: datetime) -> None:
    """Save a decision; the caller has locked the image's item. Earlier ones stay beneath it, for when it is undone."""
    values = {
        "render_id": decision.render_id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "prompt": decision.prompt,
        "actor": actor,
        "now": now,
    }
    tx.execute(_ADD, values)


_LAST = text("""
    SELECT d.render_id, d.number FROM catalog_decision d
    JOIN catalog_render r ON r.id = d.render_id AND r.state = 'candidate' JOIN catalog_item i ON i.id = r.item_id
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL AND d.actor = :actor AND d.outcome IS NULL
    ORDER BY d.decided_at DESC, d.number DESC LIMIT 1""")


def last_of(tx: Connection, catalog_id: UUID, actor: str) -> tuple[UUID, int] | None:
    """Return the image and the number of what this reviewer decided last in the catalog and can undo."""
    row = tx.execute(_LAST, {"catalog_id": catalog_id, "actor": actor}).one_or_none()
    return None if row is None else (row.render_id, row.number)


_UNDO = text("""
    UPDATE catalog_decision SET outcome = 'undone', ended_at = :now, ended_by = :actor
    WHERE render_id = :render_id AND number = :number AND outcome IS NULL""")


def undo(tx: Connection, render_id: UUID, number: int, *, actor: str, now: datetime) -> bool:
    """Take a decision back; False when it was applied or undone meanwhile."""
    done = tx.execute(_UNDO, {"render_id": render_id, "number": number, "actor": actor, "now": now})
    return done.rowcount == 1


_WAITING = text("""
    SELECT DISTINCT ON (i.sku) i.sku, d.render_id, d.verdict, d.reason, d.prompt, d.actor, d.decided_at, d.number
    FROM catalog_item i JOIN catalog_render r ON r.item_id = i.id AND r.state = 'candidate'
    JOIN catalog_decision d ON d.render_id = r.id AND d.outcome IS NULL
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL ORDER BY i.sku, d.number DESC""")


def waiting(tx: Connection, catalog_id: UUID) -> list[Decision]:
    """Return the decisions of the catalog that wait to be applied, the last one for each image."""
    return [
        Decision(
            sku=row.sku,
            render_id=row.render_id,
            verdict=Verdict(row.verdict),
            reason=row.reason,
            prompt=row.prompt,
            said_at=row.decided_at,
            by=row.actor,
            number=row.number,
        )
        for row in tx.execute(_WAITING, {"catalog_id": catalog_id})
    ]


_END = text("""
    UPDATE catalog_decision d SET outcome = CASE WHEN d.number = ended.number THEN ended.outcome ELSE 'replaced' END,
           ended_at = :now, ended_by = :actor
    FROM unnest(cast(:ids AS uuid[]), cast(:numbers AS bigint[]), cast(:outcomes AS text[]))
        AS ended (render_id, number, outcome)
    WHERE d.render_id = ended.render_id AND d.outcome IS NULL""")


def end(
    tx: Connection, outcomes: Iterable[tuple[UUID, int | None, DecisionOutcome]], *, actor: str, now: datetime
) -> None:
    """Record the outcomes of the decisions about these images; earlier decisions count as replaced."""
    found = list(outcomes)
    values = {
        "ids": [render_id for render_id, _, _ in found],
        "numbers": [number or 0 for _, number, _ in found],
        "outcomes": [str(outcome) for _, _, outcome in found],
        "actor": actor,
        "now": now,
    }
    tx.execute(_END, values)


_CLAIM = text("""
    INSERT INTO catalog_claim (render_id, actor, lease_until) VALUES (:render_id, :actor, :lease_until)
    ON CONFLICT (render_id) DO UPDATE SET actor = excluded.actor, lease_until = excluded.lease_until
    WHERE catalog_claim.actor = excluded.actor OR catalog_claim.lease_until <= :now""")

# Rows that another transaction is about to change are passed over: two reviewers never wait for each other here.
_RELEASE = text("""
    DELETE FROM catalog_claim WHERE render_id IN (
        SELECT render_id FROM catalog_claim
        WHERE (actor = :actor AND render_id IS DISTINCT FROM cast(:kept AS uuid)) OR lease_until <= :now
        FOR UPDATE SKIP LOCKED)""")

_HOLDER = text("SELECT actor FROM catalog_claim WHERE render_id = :id AND lease_until > :now")


def claim(tx: Connection, render_id: UUID, *, actor: str, lease_until: datetime, now: datetime) -> bool:
    """Claim the image for the reviewer, or renew the claim; False while another reviewer has it."""
    values = {"render_id": render_id, "actor": actor, "lease_until": lease_until, "now": now}
    return tx.execute(_CLAIM, values).rowcount == 1


def release(tx: Connection, actor: str, *, now: datetime, kept: UUID | None = None) -> None:
    """Release the reviewer's claims, except one, and all expired claims."""
    tx.execute(_RELEASE, {"actor": actor, "kept": kept, "now": now})


def holder(tx: Connection, render_id: UUID, *, now: datetime) -> str | None:
    """Return which reviewer has the image."""
    found: str | None = tx.execute(_HOLDER, {"id": render_id, "now": now}).scalar_one_or_none()
    return found
