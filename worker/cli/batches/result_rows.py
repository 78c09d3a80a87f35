"""Every line of a batch with its outcome, as scripts read it: all at once, or as jobs end."""

import time
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import IO, Any
from uuid import UUID

from worker.archive.reading import ArchiveReader
from worker.batches import views
from worker.batches.queries import results
from worker.batches.queries.completion_feed import Ends, has_live
from worker.cli import lookup
from worker.cli.batches.progress import TICK_S, is_stuck
from worker.core.db.session import Database
from worker.core.output_files import csv_line
from worker.engine.queries.batches import BatchRow
from worker.storage.store import Store


def all_lines(database: Database, store: Store, batch_id: UUID) -> Iterator[dict[str, Any]]:
    """Yield one object per line; line 0 is a fault of the batch itself. Those of an archived batch are read back."""
    archive = ArchiveReader(lambda: store)
    jobs = (_job(each, store) for each in results.outcomes(database, batch_id, archive))
    yield from merge(jobs, refused_line(database, batch_id), key=lambda each: int(each["line"]))


def refused_line(database: Database, batch_id: UUID) -> Iterator[dict[str, Any]]:
    """Return the lines that were not taken."""
    return (views.refused_line(each) for each in results.refused_lines(database, batch_id))


WITHOUT_IMAGE = frozenset({"failed", "in_doubt", "cancelled", "refused"})
"""States of lines that have ended without an image."""


def write_csv(found: Iterable[dict[str, Any]], stream: IO[str]) -> int:
    """Write lines as CSV with a header; return how many."""
    stream.write(csv_line(views.CSV_COLUMNS, line_end="\n"))
    count = 0
    for each in found:
        stream.write(csv_line(views.csv_values(each), line_end="\n"))
        count += 1
    return count


def _job(found: results.Outcome, store: Store) -> dict[str, Any]:
    image = found.result
    return views.job(found, file=None if image is None else store.location(image.path))


_STILL_S = 5.0
"""When nothing has ended for so long, the whole batch is checked: it may wait for a person."""


def follow_lines(database: Database, store: Store, row: BatchRow) -> Iterator[dict[str, Any]]:
    """Yield the refused lines, then each job when it has ended, once; of one that is retried, each end."""
    yield from refused_line(database, row.id)
    ends, changed_at, is_over = Ends(database, row.id), time.monotonic(), False
    while not is_over:
        began = time.monotonic()
        # Asked before the look, which then sees the last ends too.
        is_over = _is_over(database, row, still_s=began - changed_at)
        for found in ends.new(is_last=is_over):
            changed_at = began
            yield _job(found, store)
        if not is_over:
            time.sleep(max(TICK_S, 8 * (time.monotonic() - began)))


def _is_over(database: Database, row: BatchRow, *, still_s: float) -> bool:
    """Return whether all jobs have ended, or whether waiting longer would not help."""
    with database.transaction() as tx:
        if not has_live(tx, row.id):
            return True
    return still_s > _STILL_S and is_stuck(lookup.overview_of(database, row))
