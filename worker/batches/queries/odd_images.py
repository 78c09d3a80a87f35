"""Images that are not as ordered, counted once per batch."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.as_ordered import SizePolicy


@dataclass(frozen=True, kw_only=True)
class OddImages:
    """Images of one model, with or without a reference, that are not as ordered; one may differ in several things."""

    model: str
    with_reference: bool
    images: int
    format: int
    size: int
    animated: int
    example: str
    """The pixels of one of those of another size, such as ``1024 x 1024``; empty: there is none."""

    def __str__(self) -> str:
        """Return the count as a phrase."""
        pixels = f" (such as {self.example})" if self.example else ""
        parts = [
            f"{count:,} of another {name}" for name, count in (("size", self.size), ("format", self.format)) if count
        ]
        if self.size:
            parts[0] += pixels
        if self.animated:
            parts.append(f"{self.animated:,} animated")
        whose = f"{self.model} {'with' if self.with_reference else 'without'} a reference"
        return f"{self.images:,} of {whose}: {', '.join(parts)}"


_OF_BATCH = text("""
    SELECT model, with_reference, count(*) AS images, count(*) FILTER (WHERE 'format' = ANY(odd)) AS format,
           count(*) FILTER (WHERE 'size' = ANY(odd)) AS size, count(*) FILTER (WHERE 'animated' = ANY(odd)) AS animated,
           coalesce(min(pixels) FILTER (WHERE 'size' = ANY(odd)), '') AS example
    FROM (
        SELECT j.model, j.reference_hash IS NOT NULL AS with_reference, r.width || ' x ' || r.height AS pixels,
            CASE WHEN :accepts_size THEN array_remove(r.not_as_ordered, 'size') ELSE r.not_as_ordered END AS odd
        FROM result r JOIN job j ON j.id = r.job_id WHERE j.batch_id = :id AND r.not_as_ordered <> '{}') found
    WHERE odd <> '{}' GROUP BY model, with_reference ORDER BY model, with_reference""")


def of_batch(tx: Connection, batch_id: UUID, policy: SizePolicy) -> tuple[OddImages, ...]:
    """Count those of a batch, as far as they count under its policy."""
    rows = tx.execute(_OF_BATCH, {"id": batch_id, "accepts_size": policy is SizePolicy.ACCEPT})
    return tuple(OddImages(**row) for row in rows.mappings())
