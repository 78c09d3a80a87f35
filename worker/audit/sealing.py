"""Close the books: seal all entries so far. Nothing is posted before a seal afterwards."""

from datetime import datetime
from itertools import count

import structlog
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from worker.audit.queries import facts, seals
from worker.audit.rules import fact_seal
from worker.audit.rules import seal as chain
from worker.audit.rules.seal import Seal
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError

log = structlog.get_logger(__name__)

LOCK_TIMEOUT_S = 2.0
"""How long sealing waits for transactions that post; later ones wait behind it meanwhile."""


class LedgerBusy(DarkroomError):
    """Transactions kept posting for longer than sealing waits; nothing was sealed."""

    error_code = "ledger_busy"

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return "the ledger is being written to and could not be closed: try again in a moment"


def seal(database: Database, *, now: datetime) -> Seal | None:
    """Seal the entries that no seal binds yet; return the newest seal, None when there was never an entry.

    Raises LedgerBusy when another transaction posts for longer than two seconds.
    """
    return _run(database, now, is_closing=False)


def close_books(database: Database, now: datetime) -> datetime:
    """Seal everything; gives the instant, ``now`` or later, at or before which nothing can be posted any more.

    ``now`` is the clock's: what is posted until then is dated one microsecond later. Raises LedgerBusy.
    """
    with database.transaction() as tx:
        is_writer = seals.may_write(tx)
    if not is_writer:
        return _ask_to_close(database)
    newest = _run(database, now, is_closing=True)
    assert newest is not None
    return newest.sealed_at


def _ask_to_close(database: Database) -> datetime:
    """Have the database close the books, as an auditor may who has no right to write."""
    try:
        with database.bulk_transaction() as tx:
            return seals.close_books(tx)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise LedgerBusy from error
        raise


def _run(database: Database, now: datetime, *, is_closing: bool) -> Seal | None:
    try:
        with database.bulk_transaction() as tx:
            seals.lock_ledger(tx, timeout_s=LOCK_TIMEOUT_S)
            newest = _seal_all(tx, now, is_closing=is_closing)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise LedgerBusy from error
        raise
    if newest is not None:
        _seal_facts(database)
    return newest


def _seal_facts(database: Database) -> None:
    """Bind the facts that the newest seal has closed; when writers keep it waiting, the next sealing does it."""
    try:
        with database.transaction() as tx:
            seals.await_writers(tx)
        with database.bulk_transaction() as tx:
            facts.lock(tx)
            _bind_facts(tx)
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        log.warning("facts.not_sealed", error="transactions that write facts take too long")


def _bind_facts(tx: Connection) -> None:
    newest, before = seals.last(tx), facts.last(tx)
    if newest is None or (before is not None and before.seal_id >= newest.id):
        return
    period = facts.period(None if before is None else seals.numbered(tx, before.seal_id), newest)
    digests = [facts.find(tx, kind, period).digest for kind in facts.SEALED]
    facts.add(tx, fact_seal.link(newest, digests, before))


def _seal_all(tx: Connection, now: datetime, *, is_closing: bool) -> Seal | None:
    """Write as many seals as it takes, all with one instant, so that the sums up to it are those of whole seals."""
    newest = seals.last(tx)
    latest = seals.latest_posting(tx, after=chain.LOWEST_ID if newest is None else newest.last_entry_id)
    before = None if newest is None else newest.sealed_at
    sealed_at = max(instant for instant in (now, latest, before) if instant is not None)
    is_needed = is_closing and before != sealed_at
    if latest is None and not is_needed:
        return newest
    for number in count():
        following = _add(tx, newest, sealed_at, is_empty_wanted=number == 0)
        if following is None:
            break
        newest = following
    return newest


def _add(tx: Connection, before: Seal | None, sealed_at: datetime, *, is_empty_wanted: bool) -> Seal | None:
    """Bind the next entries; None when there are none and a seal over nothing is not wanted."""
    first = chain.LOWEST_ID if before is None else before.last_entry_id + 1
    digests, last_line, credits_ = bytearray(), b"", 0
    for line in seals.lines(tx, first=first, limit=chain.ENTRIES_PER_SEAL):
        digests += chain.digest(line)
        credits_ += int(line.split(b"\t", 7)[6])
        last_line = line
    if not last_line and not is_empty_wanted:
        return None
    new = chain.link(
        id_=1 if before is None else before.id + 1,
        sealed_at=sealed_at,
        last_entry_id=int(last_line.partition(b"\t")[0]) if last_line else max(first - 1, 0),
        entries=len(digests) // chain.DIGEST_BYTES,
        credits_=credits_,
        previous=chain.NO_SEAL if before is None else before.hash,
        digests=bytes(digests),
        facts=seals.newest_facts(tx),
    )
    seals.add(tx, new, digests=bytes(digests), first=first)
    return new


class NotClosed(DarkroomError):
    """The instant is later than the one up to which the books can be closed."""

    error_code = "books_not_closed"

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
    """Close the books up to the requested instant and return it; without one, up to now.

    Raises NotClosed for an instant in the future, LedgerBusy when the ledger is being written to.
    """
    with database.transaction() as tx:
        closed = seals.closed_until(tx)
    if wanted is None or ((closed is None or closed < wanted) and wanted <= now):
        closed = close_books(database, now)
    if wanted is not None and (closed is None or closed < wanted):
        raise NotClosed(wanted, closed or now)
    with database.transaction() as tx:
        seals.await_writers(tx)
    found = wanted or closed
    assert found is not None
    return found
