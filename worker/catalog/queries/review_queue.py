"""New images in the order of review: one at a time, with what was decided about it and who looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from worker.batches.queries.bulk_operations import ImageTarget
from worker.batches.rules.bulk_operation import like
from worker.catalog.queries import review
from worker.catalog.queries.review import Candidate
from worker.catalog.queries.saved_decisions import Saved
from worker.catalog.rules.decisions import Verdict


class Show(StrEnum):
    """Which images a review shows."""

    UNDECIDED = "undecided"
    """Those without a decision that no other reviewer looks at."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an image stands: the order of the last import."""

    position: int
    sku: str


BEFORE_ALL = Place(position=-1, sku="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Queued:
    """An image that waits for its decision to be made, or applied."""

    candidate: Candidate
    place: Place
    live_render_id: UUID | None
    saved: Saved | None
    claimed_by: str | None
    """The other reviewer who looks at it now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The numbers of images of a catalog by state."""

    undecided: int
    accepted: int
    rejected: int

    @property
    def all(self) -> int:
        """Every image that waits."""
        return self.undecided + self.accepted + self.rejected

    @property
    def decided(self) -> int:
        """Those with a decision that is not applied."""
        return self.accepted + self.rejected


_SAVED = """LEFT JOIN LATERAL (
        SELECT x.number, x.verdict, x.reason, x.prompt, x.actor, x.decided_at FROM catalog_decision x
        WHERE x.render_id = r.id AND x.outcome IS NULL ORDER BY x.number DESC LIMIT 1) d ON true"""

_QUEUE = f"""
    SELECT {review.COLUMNS}, i.live_render_id, d.number, d.verdict, d.reason, d.prompt, d.actor, d.decided_at,
           k.actor AS claimed_by
    FROM {review.TABLES} {_SAVED}
    LEFT JOIN catalog_claim k ON k.render_id = r.id AND k.lease_until > :now AND k.actor <> :reviewer
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL"""

_UNDECIDED = """
      AND NOT EXISTS (SELECT FROM catalog_decision x WHERE x.render_id = n.id AND x.outcome IS NULL)
      AND NOT EXISTS (SELECT FROM catalog_claim m
                      WHERE m.render_id = n.id AND m.lease_until > :now AND m.actor <> :reviewer)"""


def _undecided_or_all(condition: str, sign: str, order: str) -> TextClause:
    """Find the image before all that is shown of it is read: many that are passed over have been decided."""
    return text(f"""{_QUEUE} AND r.id = (
        SELECT n.id FROM catalog_item o JOIN catalog_render n ON n.item_id = o.id AND n.state = 'candidate'
        WHERE o.catalog_id = :catalog_id AND o.removed_at IS NULL {condition}
          AND (o.position, o.sku) {sign} (:position, :sku)
        ORDER BY o.position {order}, o.sku {order} LIMIT 1)""")


def _decided(verdict: Verdict, sign: str, order: str) -> TextClause:
    return text(f"""{_QUEUE} AND d.verdict = '{verdict}' AND EXISTS (
        SELECT FROM catalog_decision x WHERE x.render_id = r.id AND x.outcome IS NULL AND x.verdict = '{verdict}')
          AND (i.position, i.sku) {sign} (:position, :sku)
        ORDER BY i.position {order}, i.sku {order} LIMIT 1""")


def _steps(sign: str, order: str) -> dict[Show, TextClause]:
    return {
        Show.UNDECIDED: _undecided_or_all(_UNDECIDED, sign, order),
        Show.ACCEPTED: _decided(Verdict.ACCEPT, sign, order),
        Show.REJECTED: _decided(Verdict.REJECT, sign, order),
        Show.ALL: _undecided_or_all("", sign, order),
    }


_AFTER, _BEFORE = _steps(">", "ASC"), _steps("<", "DESC")

_ONE = text(f"{_QUEUE} AND r.id = :render_id")

_HELD = text(f"""{_QUEUE} AND d.number IS NULL AND r.id = (
    SELECT m.render_id FROM catalog_claim m JOIN catalog_render n ON n.id = m.render_id
    JOIN catalog_item o ON o.id = n.item_id AND o.catalog_id = :catalog_id
    WHERE m.actor = :reviewer AND m.lease_until > :now ORDER BY m.lease_until DESC LIMIT 1)""")

_ENDED = text("""
    SELECT r.state, r.decided_by FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE r.id = :id AND i.catalog_id = :catalog_id""")

_TALLY = text("""
    SELECT count(*) - count(d.render_id) AS undecided,
           count(*) FILTER (WHERE d.verdict = 'accept') AS accepted,
           count(*) FILTER (WHERE d.verdict = 'reject') AS rejected
    FROM catalog_item i JOIN catalog_render r ON r.item_id = i.id AND r.state = 'candidate'
    LEFT JOIN (SELECT DISTINCT ON (render_id) render_id, verdict FROM catalog_decision WHERE outcome IS NULL
               ORDER BY render_id, number DESC) d ON d.render_id = r.id
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL""")

_REVIEWERS = text("""
    SELECT DISTINCT k.actor FROM catalog_claim k JOIN catalog_render r ON r.id = k.render_id
    JOIN catalog_item i ON i.id = r.item_id
    WHERE i.catalog_id = :catalog_id AND k.lease_until > :now ORDER BY k.actor""")


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The images of one catalog in one reviewer's order at one instant."""

    catalog_id: UUID
    reviewer: str
    now: datetime

    def after(self, tx: Connection, place: Place, show: Show) -> Queued | None:
        """Return the first image after a position."""
        return self._one(tx, _AFTER[show], position=place.position, sku=place.sku)

    def before(self, tx: Connection, place: Place, show: Show) -> Queued | None:
        """Return the last image before a position."""
        return self._one(tx, _BEFORE[show], position=place.position, sku=place.sku)

    def one(self, tx: Connection, render_id: UUID) -> Queued | None:
        """Return this image, however it was decided; None when it waits no longer or is of another catalog."""
        return self._one(tx, _ONE, render_id=render_id)

    def held(self, tx: Connection) -> Queued | None:
        """Return the undecided image that the reviewer has already."""
        return self._one(tx, _HELD)

    def ended(self, tx: Connection, render_id: UUID) -> tuple[str, str] | None:
        """Return the author and the decision of an image that no longer waits; None: it is of another catalog."""
        row = tx.execute(_ENDED, {"catalog_id": self.catalog_id, "id": render_id}).one_or_none()
        return None if row is None else (row.decided_by or "a plan or an import", f"made it {row.state}")

    def tally(self, tx: Connection) -> Tally:
        """Count the images that wait."""
        return Tally(**tx.execute(_TALLY, {"catalog_id": self.catalog_id}).mappings().one())

    def reviewers(self, tx: Connection) -> Sequence[str]:
        """Return the reviewers who have an image of the catalog open."""
        return tx.execute(_REVIEWERS, {"catalog_id": self.catalog_id, "now": self.now}).scalars().all()

    def _one(self, tx: Connection, query: Any, **asked: object) -> Queued | None:
        values = {"catalog_id": self.catalog_id, "reviewer": self.reviewer, "now": self.now, **asked}
        row = tx.execute(query, values).one_or_none()
        return None if row is None else _queued(row)


def _queued(row: Any) -> Queued:
    saved = None
    if row.number is not None:
        saved = Saved(
            number=row.number,
            verdict=Verdict(row.verdict),
            reason=row.reason,
            prompt=row.prompt,
            by=row.actor,
            at=row.decided_at,
        )
    return Queued(
        candidate=review.candidate(row),
        place=Place(position=row.position, sku=row.sku),
        live_render_id=row.live_render_id,
        saved=saved,
        claimed_by=row.claimed_by,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingImages:
    """How many images of a catalog wait."""

    undecided: int = 0
    decided: int = 0
    """Their decision is saved and not applied."""


_WAITING = text("""
    SELECT i.catalog_id, count(*) FILTER (WHERE NOT d.is_decided) AS undecided,
           count(*) FILTER (WHERE d.is_decided) AS decided
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    CROSS JOIN LATERAL (SELECT EXISTS (
        SELECT FROM catalog_decision x WHERE x.render_id = r.id AND x.outcome IS NULL) AS is_decided) d
    WHERE r.state = 'candidate' AND i.removed_at IS NULL GROUP BY i.catalog_id""")


def waiting(tx: Connection) -> dict[UUID, WaitingImages]:
    """Return how many images wait, by the catalog's id; a catalog without such images is left out."""
    return {row.catalog_id: WaitingImages(undecided=row.undecided, decided=row.decided) for row in tx.execute(_WAITING)}


@dataclass(frozen=True, kw_only=True)
class ImageFilter:
    """Conditions that select undecided images of a catalog; None: no condition."""

    sku: str | None = None
    """A pattern: ``*`` stands for any characters, ``?`` for one."""
    plan: UUID | None = None
    """The plan that asked for it."""
    as_ordered: bool | None = None
    """Whether its size and format are those that were ordered."""

    @property
    def is_empty(self) -> bool:
        """Return whether no condition is set; such a filter matches every undecided image."""
        return (self.sku, self.plan, self.as_ordered) == (None, None, None)

    def as_json(self) -> dict[str, object]:
        """Return the conditions; ``{"all": true}`` without any, so that an empty filter is never stored by accident."""
        plan = None if self.plan is None else str(self.plan)
        found = {"sku": self.sku, "plan": plan, "as_ordered": self.as_ordered}
        return {name: value for name, value in found.items() if value is not None} or {"all": True}


_MEANT = text("""
    SELECT r.id AS render_id, j.batch_id, j.id AS job_id, f.sha256, i.sku, f.not_as_ordered
    FROM catalog_item i JOIN catalog_render r ON r.item_id = i.id AND r.state = 'candidate'
    JOIN job j ON j.id = r.job_id JOIN result f ON f.job_id = r.job_id
    WHERE i.catalog_id = :catalog_id AND i.removed_at IS NULL
      AND NOT EXISTS (SELECT FROM catalog_decision x WHERE x.render_id = r.id AND x.outcome IS NULL)
      AND (CAST(:sku AS text) IS NULL OR i.sku LIKE :sku)
      AND (CAST(:plan AS uuid) IS NULL OR r.plan_id = :plan)
      AND (CAST(:as_ordered AS boolean) IS NULL OR (cardinality(f.not_as_ordered) = 0) = :as_ordered)
    ORDER BY i.position, i.sku""")


def find_targets(tx: Connection, catalog_id: UUID, catalog: str, wanted: ImageFilter) -> list[ImageTarget]:
    """Return the undecided images that match, in the order of the last import."""
    pattern = None if wanted.sku is None else like(wanted.sku)
    asked = {"catalog_id": catalog_id, "sku": pattern, "plan": wanted.plan, "as_ordered": wanted.as_ordered}
    return [
        ImageTarget(
            render_id=row.render_id,
            batch_id=row.batch_id,
            job_id=row.job_id,
            sha256=row.sha256,
            catalog=catalog,
            sku=row.sku,
            not_as_ordered=tuple(row.not_as_ordered),
        )
        for row in tx.execute(_MEANT, asked)
    ]


_PICTURE = text("""
    SELECT f.path, f.sha256, f.mime_type FROM catalog_render r JOIN result f ON f.job_id = r.job_id WHERE r.id = :id""")


def picture(tx: Connection, render_id: UUID) -> tuple[str, str, str] | None:
    """Return the path, SHA-256 and type of an image of a catalog."""
    row = tx.execute(_PICTURE, {"id": render_id}).one_or_none()
    return None if row is None else (row.path, row.sha256, row.mime_type)
