"""How much a batch, or an owner in one month, may commit: set by a person, recorded, and in force at once."""

from dataclasses import dataclass
from uuid import UUID

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.engine.queries import batches
from worker.ledger.queries import budgets


class CapTooLow(Exception):
    """The batch has committed more than the cap that was asked for; nothing was changed."""

    def __init__(self, wanted: int, committed: int) -> None:
        """Keep both figures."""
        super().__init__(wanted, committed)
        self.wanted = wanted
        self.committed = committed

    def __str__(self) -> str:
        """Return the message, with the cap that stops the batch where it is."""
        return (
            f"the batch has committed {self.committed:,} credits already, so that it cannot be capped at"
            f" {self.wanted:,}: a cap of {self.committed} admits nothing more"
        )


@dataclass(frozen=True, kw_only=True)
class CapChange:
    """A cap before and after; None: there was, or is, no cap."""

    before: int | None
    after: int | None
    committed: int
    """What the batch, or the owner in this month, has committed."""


def cap_batch(database: Database, batch_id: UUID, credits_: int | None, author: Author) -> CapChange:
    """Set, or with None lift, a batch's cap and wake the dispatchers; raise CapTooLow."""
    with database.transaction() as tx:
        batches.lock(tx, batch_id)
        committed = budgets.committed_by_batch(tx, batch_id)
        if credits_ is not None and credits_ < committed:
            raise CapTooLow(credits_, committed)
        before = budgets.set_batch_cap(tx, batch_id, credits_)
        changes.record(tx, author, f"batch:{batch_id}", "credit_cap", before=before, after=credits_)
    return CapChange(before=before, after=credits_, committed=committed)


def cap_owner(database: Database, owner: str, credits_: int | None, author: Author) -> CapChange:
    """Set, or with None lift, what an owner may commit in any one month, and wake the dispatchers.

    It may be below what this month has committed: then nothing more is admitted before the next month.
    """
    with database.transaction() as tx:
        before = budgets.set_owner_cap(tx, owner, credits_)
        committed = budgets.committed_by_owner(tx, owner, now=author.now)
        changes.record(tx, author, f"owner:{owner}", "monthly_cap", before=before, after=credits_)
    return CapChange(before=before, after=credits_, committed=committed)
