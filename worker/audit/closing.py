"""As of which instant a report may be printed: only one for which the books are closed, so that nothing is added."""

from datetime import datetime

from worker.audit.queries import closing
from worker.audit.sealing import close_books
from worker.core.db.session import Database


class NotClosed(Exception):
    """The instant is later than the one up to which the books can be closed."""

    def __init__(self, wanted: datetime, closed: datetime) -> None:
        """Keep both."""
        super().__init__(wanted, closed)
        self.wanted = wanted
        self.closed = closed

    def __str__(self) -> str:
        """Return what disagrees and what to do."""
        return (
            f"the books are closed up to {self.closed.isoformat()}, so no report is possible as of"
            f" {self.wanted.isoformat()}: name an earlier --as-of, or leave it out for the newest"
        )


def closed_instant(database: Database, wanted: datetime | None, *, now: datetime) -> datetime:
    """Close the books as far as the wanted instant needs it, and give the instant; without one, the newest.

    Raises NotClosed for an instant in the future, LedgerBusy when the ledger is being written to.
    """
    with database.transaction() as tx:
        closed = closing.closed_until(tx)
    if wanted is None or ((closed is None or closed < wanted) and wanted <= now):
        closed = close_books(database, now)
    if wanted is not None and (closed is None or closed < wanted):
        raise NotClosed(wanted, closed or now)
    with database.transaction() as tx:
        closing.await_writers(tx)
    found = wanted or closed
    assert found is not None
    return found
