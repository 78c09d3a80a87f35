"""Which accounts pay for a batch, and what an owner's batches use that name none."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from worker.accounts.queries import account_limits, pools
from worker.accounts.queries.pools import Member
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.rules.batch_request import BatchRequest
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import plain


class NoAccount(DarkroomError):
    """There is no account, or no pool, of that name."""

    error_code = "no_account"
    exit_code = 2

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        """Keep what was named, ``account`` or ``pool``, and the names that there are."""
        super().__init__(kind, name, known)
        self.kind, self.name, self.known = kind, name, known

    def __str__(self) -> str:
        """Return what is wrong, and what may be done."""
        others = ", ".join(self.known) or f"none; the first node with it in DARKROOM_ACCOUNTS makes {self.kind}s known"
        return f"there is no {self.kind} {plain(self.name)!r}; there are {others}"


@dataclass(frozen=True, kw_only=True)
class Payers:
    """Who pays for the jobs of a batch."""

    account_id: UUID
    """The account; of several the one that keeps the batch's deadline."""
    pool: str | None = None
    """Over whose accounts the jobs are spread; None: all are the one account's."""
    accounts: tuple[Member, ...] = ()
    """All accounts of the pool; none where the jobs are not spread."""


def payers_of(tx: Connection, request: BatchRequest, *, jobs: int, default: UUID, follows_owner: bool = True) -> Payers:
    """Return the accounts for a batch of so many jobs; raise NoAccount.

    In this order: what the batch names, what its owner's batches use (if ``follows_owner``), and ``default``. Jobs are
    spread over a pool of several accounts; while nodes run that do not know of this, one of them has all.
    """
    account, pool = request.account, request.pool
    if follows_owner and account is None and pool is None and (usual := pools.usual(tx, request.owner)) is not None:
        account, pool = usual.account, usual.pool
    if account is not None:
        return Payers(account_id=_by_name(tx, account))
    return Payers(account_id=default) if pool is None else _of_pool(tx, pool, jobs)


def set_usual(tx: Connection, owner: str, *, account: str | None, pool: str | None, by: Author) -> None:
    """Set the owner's default account or pool; None and None: the general default. Raises NoAccount."""
    account_id = None if account is None else _by_name(tx, account)
    if pool is not None:
        _of_pool(tx, pool, 0)
    before = pools.usual(tx, owner)
    pools.set_usual(tx, owner, account_id=account_id, pool=pool)
    after = pools.usual(tx, owner)
    changes.record(tx, by, f"owner:{owner}", "account", before=_shown(before), after=_shown(after))


def _shown(usual: pools.Usual | None) -> str | None:
    return None if usual is None else str(usual)


def _by_name(tx: Connection, name: str) -> UUID:
    found = pools.by_name(tx, name)
    if found is None:
        raise NoAccount("account", name, tuple(account_limits.names(tx)))
    return found


def _of_pool(tx: Connection, pool: str, jobs: int) -> Payers:
    members = pools.members(tx, pool)
    if not members:
        raise NoAccount("pool", pool, tuple(pools.names(tx)))
    first = most_room(members, jobs=jobs).account_id
    if len(members) == 1 or not pools.can_spread(tx):
        return Payers(account_id=first)
    return Payers(account_id=first, pool=pool, accounts=tuple(members))


def most_room(members: Sequence[Member], *, jobs: int) -> Member:
    """Return the account that would finish ``jobs`` more jobs first; a paused one only where all are paused."""
    return min(members, key=lambda each: (not each.is_open, (each.waiting + jobs) / each.rate, each.name))
