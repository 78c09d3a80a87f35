"""The lines of a batch as their jobs end, until nothing more happens by itself."""

import time
from collections.abc import Iterator
from typing import Any

from worker.batches.queries.completion_feed import Ends, has_live
from worker.cli import lookup
from worker.cli.batches import result_rows
from worker.cli.batches.progress import TICK_S, is_stuck
from worker.core.db.session import Database
from worker.engine.queries.batches import BatchRow
from worker.storage.store import Store

_STILL_S = 5.0
"""When nothing has ended for so long, the whole batch is looked at: perhaps it waits for somebody."""


def lines(database: Database, store: Store, row: BatchRow) -> Iterator[dict[str, Any]]:
    """Yield the refused lines, then each job when it has ended, once; of one that is asked for again, each end."""
    yield from result_rows.refused(database, row.id)
    ends, changed_at, is_over = Ends(database, row.id), time.monotonic(), False
    while not is_over:
        began = time.monotonic()
        # Asked before the look, which then sees the last ends too.
        is_over = _is_over(database, row, still_s=began - changed_at)
        for found in ends.new(is_last=is_over):
            changed_at = began
            yield result_rows.job_as_json(found, store)
        if not is_over:
            time.sleep(max(TICK_S, 8 * (time.monotonic() - began)))


def _is_over(database: Database, row: BatchRow, *, still_s: float) -> bool:
    """Return whether all jobs have ended, or whether waiting longer would not help."""
    with database.transaction() as tx:
        if not has_live(tx, row.id):
            return True
    return still_s > _STILL_S and is_stuck(lookup.look(database, row))
