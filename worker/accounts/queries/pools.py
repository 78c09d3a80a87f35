"""Which accounts a batch is for: one by name, those of a pool, or its owner's usual ones; what each has spent."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

_SET_POOLS = text("UPDATE account SET pools = :pools WHERE id = :id AND pools IS DISTINCT FROM CAST(:pools AS text[])")


def set_pools(tx: Connection, account_id: UUID, pools: Collection[str]) -> None:
    """Set the pools that the account belongs to."""
    tx.execute(_SET_POOLS, {"id": account_id, "pools": sorted(pools)})


_BY_NAME = text("SELECT id FROM account WHERE name = :name")


def by_name(tx: Connection, name: str) -> UUID | None:
    """Return the id of the account of that name; None when there is none."""
    found: UUID | None = tx.execute(_BY_NAME, {"name": name}).scalar()
    return found


@dataclass(frozen=True, kw_only=True)
class Member:
    """An account of a pool, and how much it has to do."""

    account_id: UUID
    name: str
    is_open: bool
    """Whether it is neither paused nor closed by a 429."""
    rate: float
    """Requests per second."""
    waiting: int
    """Jobs that are live there, and those of its open batches that have pending ones."""


# The sizes of batches instead of a count of jobs: exact enough for a choice, and quick with a million of them.
_MEMBERS = text("""
    SELECT a.id AS account_id, a.name, a.rate,
           a.pause_reason IS NULL AND (a.blocked_until IS NULL OR a.blocked_until <= clock_timestamp()) AS is_open,
           (SELECT count(*) FROM step WHERE account_id = a.id)
           + (SELECT coalesce(sum(size), 0)::bigint FROM batch b
              WHERE b.account_id = a.id AND b.has_pending AND b.state = 'open') AS waiting
    FROM account a WHERE :pool = ANY(a.pools) ORDER BY a.name""")


def members(tx: Connection, pool: str) -> list[Member]:
    """Return the accounts of a pool, by their names."""
    return [Member(**row._asdict()) for row in tx.execute(_MEMBERS, {"pool": pool})]


# A node of before migration 0079 that still runs would take all jobs of such a batch for its account's own. Started
# again it refuses the tables.
_CAN_SPREAD = text("""
    SELECT NOT EXISTS (SELECT FROM node WHERE seen_at > clock_timestamp() - interval '30 seconds'
        AND (knows IS NULL OR knows COLLATE "C" < '0079'))""")


def can_spread(tx: Connection) -> bool:
    """Return whether every live node's version can spread the jobs of a batch over a pool."""
    return bool(tx.execute(_CAN_SPREAD).scalar_one())


_NAMES = text("SELECT DISTINCT unnest(pools) AS pool FROM account ORDER BY pool")


def names(tx: Connection) -> list[str]:
    """Return the names of all pools."""
    return list(tx.execute(_NAMES).scalars())


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The account or the pool of an owner's batches that name neither."""

    account: str | None
    pool: str | None

    def __str__(self) -> str:
        return f"account {self.account}" if self.account is not None else f"pool {self.pool}"


_USUAL = text("""
    SELECT a.name AS account, o.pool FROM owner_account o LEFT JOIN account a ON a.id = o.account_id
    WHERE o.owner = :owner""")


def usual(tx: Connection, owner: str) -> Usual | None:
    """Return the owner's default account or pool; None: the general default."""
    row = tx.execute(_USUAL, {"owner": owner}).one_or_none()
    return None if row is None else Usual(**row._asdict())


_EVERY_USUAL = text("""
    SELECT o.owner, a.name AS account, o.pool FROM owner_account o LEFT JOIN account a ON a.id = o.account_id
    ORDER BY o.owner""")


def every_usual(tx: Connection) -> dict[str, Usual]:
    """Return the default account or pool of each owner that has one, by owner."""
    return {row.owner: Usual(account=row.account, pool=row.pool) for row in tx.execute(_EVERY_USUAL)}


_FORGET_USUAL = text("DELETE FROM owner_account WHERE owner = :owner")
_SET_USUAL = text("""
    INSERT INTO owner_account (owner, account_id, pool) VALUES (:owner, :account_id, :pool)
    ON CONFLICT (owner) DO UPDATE SET account_id = excluded.account_id, pool = excluded.pool""")


def set_usual(tx: Connection, owner: str, *, account_id: UUID | None, pool: str | None) -> None:
    """Set it; with neither, what any other owner uses."""
    if account_id is None and pool is None:
        tx.execute(_FORGET_USUAL, {"owner": owner})
    else:
        tx.execute(_SET_USUAL, {"owner": owner, "account_id": account_id, "pool": pool})


@dataclass(frozen=True, kw_only=True)
class Payer:
    """An account of a batch."""

    account: str
    spent: int
    """Credits, less corrections."""


# What seals bind was added up with them, so that an archived batch has its figures too.
_OF_POOL = text("""
    SELECT a.name AS account, coalesce(sum(
            f.credits * ((f.target = 'spent')::int - (f.source = 'spent')::int)), 0)::bigint AS spent
    FROM batch_account m JOIN account a ON a.id = m.account_id
    LEFT JOIN (
        SELECT account_id, source, target, credits FROM pool_rollup WHERE batch_id = :id
        UNION ALL
        SELECT g.account_id, e.source, e.target, e.credits
        FROM credit_entry e JOIN generation g ON g.id = e.generation_id
        WHERE e.batch_id = :id AND e.id > (SELECT coalesce(max(last_entry_id), 0) FROM seal)) f
        ON f.account_id = m.account_id
    WHERE m.batch_id = :id GROUP BY a.name ORDER BY a.name""")
_ITS_OWN = text("SELECT a.name FROM batch b JOIN account a ON a.id = b.account_id WHERE b.id = :id")


def payers_of_batch(tx: Connection, batch_id: UUID, *, spent: int) -> Sequence[Payer]:
    """Return the accounts of the batch's pool, by name, or its one account, which has ``spent`` all."""
    found = [Payer(**row) for row in tx.execute(_OF_POOL, {"id": batch_id}).mappings()]
    return found or [Payer(account=tx.execute(_ITS_OWN, {"id": batch_id}).scalar_one(), spent=spent)]
