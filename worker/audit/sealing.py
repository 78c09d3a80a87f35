"""How the books are closed: all entries so far are bound by seals, and nothing is posted before them any more."""

from datetime import datetime
from itertools import count

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from worker.audit.queries import seals
from worker.audit.rules import seal as chain
from worker.audit.rules.seal import Seal
from worker.core.db.session import Database

PATIENCE_S = 2.0
"""How long sealing waits for transactions that post; whoever posts waits behind it meanwhile."""


class LedgerBusy(Exception):
    """Somebody has posted for longer than sealing waits; nothing was sealed."""

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return "the ledger is being written to and could not be closed: try again in a moment"


def seal(database: Database, *, now: datetime) -> Seal | None:
    """Bind the entries that no seal binds yet; gives the newest seal, None when there was never an entry.

    Raises LedgerBusy when somebody posts for longer than two seconds.
    """
    return _run(database, now, is_closing=False)


def close_books(database: Database, now: datetime) -> datetime:
    """Seal everything; gives the instant, ``now`` or later, at or before which nothing can be posted any more.

    ``now`` is the clock's: what is posted until then is dated one microsecond later. Raises LedgerBusy.
    """
    newest = _run(database, now, is_closing=True)
    assert newest is not None
    return newest.sealed_at


def _run(database: Database, now: datetime, *, is_closing: bool) -> Seal | None:
    try:
        with database.bulk_transaction() as tx:
            seals.lock_ledger(tx, patience_s=PATIENCE_S)
            newest = _seal_all(tx, now, is_closing=is_closing)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise LedgerBusy from error
        raise
    return newest


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
    )
    seals.add(tx, new, digests=bytes(digests), first=first)
    return new
