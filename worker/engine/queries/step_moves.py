"""Which steps are due and leased to a round, and where claimed steps go: later, on to the next kind, or away."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import statements
from worker.core.db.statements import Row, StatementPart
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import QUEUED_LEASE, StepKind
from worker.engine.queries.crashes import Crashed
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules.ranking import Due

_IS_OURS = "step.job_id = given.job_id AND step.fence = given.fence AND step.generation_id = given.generation_id"
_OURS = "job_id uuid, fence bigint, generation_id uuid"
POSTPONE = StatementPart(
    name="postponed",
    columns=f"""{_OURS}, due_at timestamptz, attempts int, polls int, looked_at timestamptz, hinted_at timestamptz,
        error text""",
    # A webhook that came while the provider was asked may tell of an end that the answer does not know of yet.
    sql=f"""
        UPDATE step SET lease_until = NULL, attempts = given.attempts, crashes = 0,
            polls = coalesce(given.polls, step.polls),
            due_at = CASE WHEN step.kind = 'poll' AND step.hinted_at IS DISTINCT FROM given.hinted_at
                     THEN least(given.due_at, step.hinted_at) ELSE given.due_at END,
            looked_at = coalesce(given.looked_at, step.looked_at),
            error = coalesce(left(given.error, 300), CASE WHEN given.attempts > 0 THEN step.error END)
        FROM {{rows}} WHERE {_IS_OURS}""",
    is_guard=True,
)
ADVANCE = StatementPart(
    name="advanced",
    columns=f"{_OURS}, kind text, due_at timestamptz, lease_until timestamptz, since timestamptz",
    sql=f"""
        UPDATE step SET kind = given.kind, due_at = given.due_at, lease_until = given.lease_until, attempts = 0,
            crashes = 0, error = NULL, since = given.since, fence = step.fence + 1
        FROM {{rows}} WHERE {_IS_OURS}""",
    is_guard=True,
)
FINISH = StatementPart(
    name="finished",
    columns=_OURS,
    sql=f"DELETE FROM step USING {{rows}} WHERE {_IS_OURS}",
    is_guard=True,
)
KEEP = StatementPart(
    name="kept",
    columns=f"{_OURS}, lease_until timestamptz",
    sql=f"UPDATE step SET lease_until = given.lease_until FROM {{rows}} WHERE {_IS_OURS}",
    is_guard=True,
)


@dataclass(frozen=True, kw_only=True)
class Postpone:
    """The same kind of step is due again later."""

    part = POSTPONE
    due_at: datetime
    attempts: int
    polls: int | None = None
    """None: as many as before."""
    looked_at: datetime | None = None
    """When the provider has just said that the generation has not ended."""
    error: object = None
    """What went wrong; None leaves the words of the try before, as long as there are ``attempts``."""


@dataclass(frozen=True, kw_only=True)
class Advance:
    """The next kind of step follows, under the next fence."""

    part = ADVANCE
    kind: StepKind
    since: datetime
    due_at: datetime
    lease_until: datetime | None = None
    """Until then it stays with this worker; None: a dispatcher hands it out."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """No step follows."""

    part = FINISH


def row(work: Work | Crashed, change: Postpone | Advance | Finish) -> Row:
    """Return the row for the change's part."""
    ours = {"job_id": work.job_id, "fence": work.fence, "generation_id": work.generation_id}
    hinted_at = work.hinted_at if isinstance(work, Work) else None
    return ours | vars(change) | ({"hinted_at": hinted_at} if isinstance(change, Postpone) else {})


def keep(tx: Connection, work: Work, *, until: datetime) -> None:
    """Keep the step for longer; raises StaleFence when it is no longer ours."""
    ours = {"job_id": work.job_id, "fence": work.fence, "generation_id": work.generation_id}
    statements.run(tx, {KEEP: [ours | {"lease_until": until}]})


MOST_RANKED = 500
"""So many due steps of a class are looked at, at the most, when not all can be served: the oldest."""
_IS_DUE = "due_at <= :now AND (lease_until IS NULL OR lease_until <= :now)"
_IS_FREE = "kind = 'collect' AND attempts = 0"
_IS_HINTED = "(hinted_at IS NOT NULL AND (looked_at IS NULL OR looked_at < hinted_at))"
_LEASE_FREE = text(f"""
    UPDATE step SET fence = fence + 1, lease_until = :until
    WHERE job_id IN (
        SELECT job_id FROM step WHERE account_id = :account_id AND {_IS_DUE} AND {_IS_FREE}
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING job_id, kind, fence, due_at""")


def lease_free(tx: Connection, account_id: UUID, *, limit: int, now: datetime) -> list[Ticket]:
    """Take up to ``limit`` due steps that ask nothing of the provider: first tries to collect.

    They are leased for as long as a message may lie in the broker. A later try asks for the address anew.
    """
    rows = tx.execute(
        _LEASE_FREE, {"account_id": account_id, "now": now, "until": now + QUEUED_LEASE, "limit": limit}
    ).all()
    return _tickets(sorted(rows, key=lambda row: row.due_at), now)


_LEASE_ALL = text(f"""
    WITH due AS MATERIALIZED (
        SELECT job_id FROM step
        WHERE account_id = :account_id AND {_IS_DUE} AND NOT ({_IS_FREE}) AND kind = ANY(:kinds)
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED),
    leased AS (
        UPDATE step SET fence = fence + 1, lease_until = :until
        WHERE job_id IN (SELECT job_id FROM due) AND (SELECT count(*) FROM due) < :limit
        RETURNING job_id, kind, fence, due_at)
    SELECT (SELECT count(*) FROM due) AS due, leased.* FROM (SELECT) one LEFT JOIN leased ON true""")


def lease_all(
    tx: Connection, account_id: UUID, *, kinds: Collection[StepKind], fewer_than: int, now: datetime
) -> list[Ticket] | None:
    """Take every due step that asks something of the provider, longest due first; None, and nothing, if too many are.

    With ``fewer_than`` slots there is one for each and one to spare; else the caller chooses (``due``, ``lease``).
    """
    rows = tx.execute(
        _LEASE_ALL,
        {
            "account_id": account_id,
            "now": now,
            "until": now + QUEUED_LEASE,
            "kinds": list(kinds),
            "limit": fewer_than,
        },
    ).all()
    if rows[0].due >= fewer_than:
        return None
    return _tickets(sorted((r for r in rows if r.job_id is not None), key=lambda row: row.due_at), now)


_DUE = text(f"""
    SELECT s.job_id, s.kind, s.priority, s.due_at, s.since, s.looked_at, {_IS_HINTED} AS is_hinted, j.model,
           j.reference_hash IS NOT NULL AS has_reference
    FROM unnest(CAST(:classes AS text[])) class CROSS JOIN LATERAL (
        SELECT * FROM step
        WHERE account_id = :account_id AND priority = class AND {_IS_DUE} AND NOT ({_IS_FREE}) AND kind = ANY(:kinds)
        ORDER BY kind = 'poll' AND NOT {_IS_HINTED}, due_at LIMIT :most) s
    JOIN job j ON j.id = s.job_id""")


def due(tx: Connection, account_id: UUID, *, kinds: Collection[StepKind], now: datetime) -> list[Due]:
    """Return the due steps of each class to choose from: polls last, longest due first."""
    rows = tx.execute(
        _DUE,
        {
            "account_id": account_id,
            "now": now,
            "kinds": list(kinds),
            "classes": list(Priority),
            "most": MOST_RANKED,
        },
    )
    found = []
    for row in rows:
        values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
        found.append(Due(**values | {"kind": StepKind(row.kind), "priority": Priority(row.priority)}))
    return found


_LEASE = text(f"""
    UPDATE step SET fence = fence + 1, lease_until = :until
    WHERE job_id IN (SELECT job_id FROM step WHERE job_id = ANY(:ids) AND {_IS_DUE} FOR UPDATE SKIP LOCKED)
    RETURNING job_id, kind, fence""")


def lease(tx: Connection, chosen: Sequence[UUID], *, now: datetime) -> list[Ticket]:
    """Lease the steps of these jobs, in this order, except those that another node has advanced since."""
    if not chosen:
        return []
    rows = {r.job_id: r for r in tx.execute(_LEASE, {"ids": list(chosen), "now": now, "until": now + QUEUED_LEASE})}
    return _tickets([rows[job_id] for job_id in chosen if job_id in rows], now)


_GIVE_BACK = text("""
    UPDATE step SET fence = step.fence + 1, lease_until = NULL, due_at = greatest(due_at, :due_at)
    WHERE job_id IN (
        SELECT step.job_id FROM step
        JOIN unnest(CAST(:ids AS uuid[]), CAST(:fences AS bigint[])) AS mine (job_id, fence)
            ON step.job_id = mine.job_id AND step.fence = mine.fence
        FOR UPDATE OF step SKIP LOCKED)""")


def give_back(tx: Connection, tickets: Sequence[Ticket], *, due_at: datetime) -> None:
    """Release leased steps that were not claimed, so that any node may lease them from an instant on."""
    values = {"ids": [t.job_id for t in tickets], "fences": [t.fence for t in tickets], "due_at": due_at}
    tx.execute(_GIVE_BACK, values)


def in_flight(tx: Connection, account_id: UUID) -> dict[Priority, int]:
    """Count the live jobs of the account by their class."""
    counts = tx.execute(
        text("SELECT priority, count(*) FROM step WHERE account_id = :id GROUP BY priority"), {"id": account_id}
    )
    return {Priority(priority): count for priority, count in counts}


_HAS_UNANSWERED = text("""
    SELECT EXISTS (SELECT FROM step s JOIN generation g ON g.id = s.generation_id
                   WHERE s.account_id = :id AND s.kind = 'submit' AND g.sends > g.answers)""")


def has_unanswered(tx: Connection, account_id: UUID) -> bool:
    """Return whether there are creates to replay because their answers were lost."""
    return bool(tx.execute(_HAS_UNANSWERED, {"id": account_id}).scalar_one())


_NEXT_DUE = text("""
    SELECT min(greatest(due_at, lease_until)) FROM step
    WHERE account_id = :id AND kind = ANY(:kinds)""")


def next_due(tx: Connection, account_id: UUID, *, kinds: Collection[StepKind]) -> datetime | None:
    """Return the instant at which the next step becomes due or its lease ends; None when there is no step."""
    found: datetime | None = tx.execute(_NEXT_DUE, {"id": account_id, "kinds": list(kinds)}).scalar()
    return found


def _tickets(rows: Sequence[Any], now: datetime) -> list[Ticket]:
    return [Ticket(job_id=r.job_id, kind=StepKind(r.kind), fence=r.fence, not_before=now) for r in rows]
