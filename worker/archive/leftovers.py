"""Files that no batch is recorded in: noted before they are written, removed by the next run or erasure.

A file of the archive has prompts in it. One that a killed process left must be found again, or no erasure reaches it.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog

from worker.archive.queries import leftovers
from worker.archive.rules.tables import ArchivedFile
from worker.core.db.session import Database
from worker.storage.store import Store

log = structlog.get_logger(__name__)


def note(database: Database, batch_id: UUID, files: Sequence[ArchivedFile]) -> None:
    """Note files of one batch, in a transaction of its own."""
    with database.transaction() as tx:
        leftovers.note(tx, batch_id, files)


def remove(database: Database, store: Store, batch_id: UUID) -> int:
    """Remove files of the batch that are not recorded, or no more; return how many. Raises StoreUnavailable.

    The batch stays locked meanwhile: what another erasure has written and not recorded yet must not be removed. A run
    that archives the batch looks for its files before it records them, and ends when they are gone.
    """
    with database.transaction() as tx:
        if leftovers.batch_with(tx, batch_id=batch_id, job_id=None) is None:
            return 0
    with database.bulk_transaction() as tx:
        leftovers.lock(tx, batch_id)
        removed = sum(store.remove(path) for path in leftovers.of_batch(tx, batch_id))
        leftovers.forget(tx, batch_id)
    if removed:
        log.info("archive.leftovers_removed", batch=str(batch_id), files=removed)
    return removed


def remove_old(database: Database, store: Store) -> int:
    """Remove what runs of more than a day ago left, of all batches; return how many. Raises StoreUnavailable."""
    with database.transaction() as tx:
        found = leftovers.old(tx)
    return sum(remove(database, store, batch_id) for batch_id in found)
