"""Worker nodes in the database: which are alive, their last rounds and clocks, and the work that waits for any node."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

ALIVE_FOR = timedelta(seconds=30)
"""A node whose row is older than this does not run, or does not reach the database."""

STALLED_AFTER = timedelta(seconds=30)
"""A dispatcher completes a round at least every second; one that has not for so long is stalled."""

OFF_S = 2.0
"""A wall clock that is off by more seconds is reported: nodes work without theirs, but log lines and TLS do not."""

FORGET_AFTER = timedelta(hours=1)
"""The row of a node that ended without a word is removed after this."""


@dataclass(frozen=True, kw_only=True)
class NodeRow:
    """One node process, all instants by the server's clock."""

    id: UUID
    name: str
    """Host and process id."""
    started_at: datetime
    seen_at: datetime
    last_round_at: datetime | None
    clock_offset_s: float
    """Its wall clock minus the server's."""
    version: str
    error: str | None
    """Why its dispatcher did not complete its last round."""
    is_alive: bool
    """Whether its row was renewed lately."""

    @property
    def is_stalled(self) -> bool:
        """Whether its dispatcher had completed no round for ``STALLED_AFTER`` when the row was last renewed."""
        return self.seen_at - (self.last_round_at or self.started_at) > STALLED_AFTER


# The times are the server's own, so that nothing here depends on a node's clock. A row that another node is removing or
# renewing is left alone.
_BEAT = text("""
    WITH forgotten AS (
        DELETE FROM node WHERE id IN (
            SELECT id FROM node WHERE seen_at < clock_timestamp() - make_interval(secs => :forget_s) AND id <> :id
            FOR UPDATE SKIP LOCKED))
    INSERT INTO node (id, name, started_at, seen_at, last_round_at, clock_offset_s, version, error, knows)
    VALUES (:id, :name, clock_timestamp(), clock_timestamp(),
        clock_timestamp() - make_interval(secs => CAST(:round_age_s AS float8)), :clock_offset_s, :version, :error,
        :knows)
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, clock_offset_s = excluded.clock_offset_s,
        error = excluded.error,
        last_round_at = coalesce(excluded.last_round_at, node.last_round_at)
    RETURNING clock_timestamp()""")


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What a node says of itself."""

    node_id: UUID
    name: str
    version: str
    round_age_s: float | None
    """Seconds since its dispatcher last completed a round; None: it has not."""
    clock_offset_s: float
    error: str | None = None
    """Why its dispatcher did not complete its last round."""
    knows: str | None = None
    """The newest migration that its code knows."""


def beat(tx: Connection, said: Beat) -> datetime:
    """Renew the node's row, remove those of nodes long gone, and return the server's time."""
    values = vars(said) | {"id": said.node_id, "forget_s": FORGET_AFTER.total_seconds()}
    found: datetime = tx.execute(_BEAT, values).scalar_one()
    return found


def remove(tx: Connection, node_id: UUID) -> None:
    """Remove the row of a node that ends."""
    tx.execute(text("DELETE FROM node WHERE id = :id"), {"id": node_id})


_ALL = text("""
    SELECT id, name, started_at, seen_at, last_round_at, clock_offset_s, version, error,
        seen_at > clock_timestamp() - make_interval(secs => :alive_s) AS is_alive
    FROM node ORDER BY name, id""")


def read_all(tx: Connection) -> list[NodeRow]:
    """Return every node with a row, also those that were not seen lately."""
    rows = tx.execute(_ALL, {"alive_s": ALIVE_FOR.total_seconds()}).mappings()
    return [NodeRow(**row) for row in rows]


def count_alive(tx: Connection) -> int:
    """Return how many nodes of this database are alive, as their rows say."""
    return sum(node.is_alive for node in read_all(tx))


_TIMEOUT = text("SELECT set_config('statement_timeout', '2s', true)")
# Whether a step is leased does not count: one whose message no node takes is leased anew again and again. Downloads
# may take long, and are left out. A step is waited for since the account was opened, at the earliest.
_WAITING = text("""
    SELECT a.rate, CASE
        WHEN a.pause_reason IS NULL AND (a.blocked_until IS NULL OR a.blocked_until <= clock_timestamp())
        THEN extract(epoch FROM clock_timestamp() - greatest(a.resumed_at, a.blocked_until, (
            SELECT min(due_at) FROM step WHERE account_id = a.id AND kind <> 'collect'))) END AS waiting_s,
        EXISTS (SELECT FROM step WHERE account_id = a.id AND kind <> 'collect') AS has_steps
    FROM account a WHERE a.id = :id""")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Work of one account."""

    rate: float
    """Requests per second."""
    waiting_s: float | None
    """For how many seconds the oldest step is overdue, at the most since the account is open; None: none is."""


def waiting(tx: Connection, account_id: UUID) -> Waiting:
    """Return the work that waits for any node, by which readiness is judged; raises the database's error after 2 s."""
    tx.execute(_TIMEOUT)
    row = tx.execute(_WAITING, {"id": account_id}).one()
    is_overdue = row.has_steps and row.waiting_s is not None and row.waiting_s > 0
    return Waiting(rate=row.rate, waiting_s=float(row.waiting_s) if is_overdue else None)
