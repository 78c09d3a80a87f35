"""Which batches a selection means at this moment, and what an action on each of them would reach."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.batches.rules.selection import Selection, like
from worker.core.rules.batch_state import BatchState


@dataclass(frozen=True, kw_only=True)
class Target:
    """A batch as it was looked at: what of it has not begun, what has, and the credits of both."""

    batch_id: UUID
    name: str
    owner: str
    priority: str
    weight: int
    state: BatchState
    pending: int
    pending_credits: int
    """What its pending jobs will hold once they are admitted."""
    begun: int
    """Its live jobs."""
    unsent: int
    """Live jobs for which nothing was sent."""
    unsent_credits: int
    """What they hold."""
    at_provider_credits: int
    """Credits that are held or reserved for what was sent, and not settled."""


_REACH = """
    WITH live AS (
        SELECT g.batch_id, count(*) AS begun,
            count(*) FILTER (WHERE g.state = 'held' AND g.sends = 0) AS unsent,
            sum(g.held) FILTER (WHERE g.state = 'held' AND g.sends = 0) AS unsent_credits,
            sum(coalesce(g.reserved, g.held)) FILTER (WHERE g.state IN ('sending', 'accepted')) AS at_provider_credits
        FROM step s JOIN generation g ON g.id = s.generation_id GROUP BY g.batch_id)
    SELECT b.id AS batch_id, b.name, b.owner, b.priority, b.weight, b.state, p.pending, p.pending_credits,
        coalesce(l.begun, 0) AS begun, coalesce(l.unsent, 0) AS unsent,
        coalesce(l.unsent_credits, 0)::bigint AS unsent_credits,
        coalesce(l.at_provider_credits, 0)::bigint AS at_provider_credits
    FROM batch b LEFT JOIN live l ON l.batch_id = b.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS pending, coalesce(sum(price), 0)::bigint AS pending_credits
        FROM job WHERE batch_id = b.id AND state = 'pending') p"""

_MEANT = text(f"""{_REACH}
    WHERE b.state = ANY(:states)
      AND (CAST(:owner AS text) IS NULL OR b.owner = :owner)
      AND (CAST(:name AS text) IS NULL OR b.name LIKE :name)
      AND (CAST(:purpose AS text) IS NULL OR b.purpose = :purpose)
      AND (CAST(:priority AS text) IS NULL OR b.priority = :priority)
      AND (CAST(:since AS timestamptz) IS NULL OR b.created_at >= :since)
      AND (CAST(:before AS timestamptz) IS NULL OR b.created_at < :before)
      AND (p.pending > 0 OR l.begun > 0)
    ORDER BY b.created_at, b.id""")

_ONE = text(f"{_REACH} WHERE b.id = :id")


def meant(tx: Connection, selection: Selection, states: Collection[BatchState]) -> list[Target]:
    """Return the batches in these states that are not over and that the selection means, the oldest first."""
    values = {
        "states": list(states),
        "owner": selection.owner,
        "name": None if selection.name is None else like(selection.name),
        "purpose": selection.purpose,
        "priority": selection.priority,
        "since": selection.since,
        "before": selection.before,
    }
    return [_read(row) for row in tx.execute(_MEANT, values).mappings()]


def one(tx: Connection, batch_id: UUID) -> Target:
    """Return what an action on one batch would reach."""
    return _read(tx.execute(_ONE, {"id": batch_id}).mappings().one())


def _read(row: Any) -> Target:
    return Target(**{**row, "state": BatchState(row["state"])})
