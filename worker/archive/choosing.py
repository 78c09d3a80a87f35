"""Which batches a run archives, one after the other, and what keeps the rest."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from worker.archive import leftovers, writing
from worker.archive.queries import archived, candidates
from worker.archive.queries.candidates import Candidate
from worker.core.db.session import Database
from worker.storage.store import Store

_PAGE = 100


def finish(database: Database, store: Store) -> list[UUID]:
    """Finish the removals that an interrupted run left, and remove its files; return the batches that were removed.

    Raises StoreUnavailable.
    """
    leftovers.remove_old(database, store)
    with database.transaction() as tx:
        left = archived.unremoved(tx)
    for batch_id in left:
        writing.remove(database, batch_id)
    return left


def preview(database: Database, *, before: datetime) -> Iterator[Candidate]:
    """Yield each batch that a run would consider, oldest first; nothing is changed."""
    after = UUID(int=0)
    while True:
        with database.bulk_transaction() as tx:
            found = candidates.page(tx, before=before, after=after, limit=_PAGE)
        yield from found
        if len(found) < _PAGE:
            return
        after = found[-1].batch_id


def run(database: Database, store: Store, *, before: datetime, limit: int | None = None) -> Iterator[Candidate]:
    """Archive one batch after the other and yield each, also those that are kept; at most ``limit`` are archived."""
    done = 0
    for found in preview(database, before=before):
        if found.obstacle is not None:
            yield found
            continue
        if done == limit:
            return
        obstacle = writing.archive(database, store, found.batch_id)
        done += obstacle is None
        yield replace(found, obstacle=obstacle)
