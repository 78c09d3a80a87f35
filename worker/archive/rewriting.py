"""Write files of archived batches anew without texts that are erased, prove them, and remove those before.

Each effect may be the last of a killed process: a file is noted before it is written and until it is recorded, and the
files before it from then on, so that the same order again removes what was left.
"""

from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection

from worker.archive import leftovers, parquet, writing
from worker.archive.queries import archived, rewriting, rows
from worker.archive.queries import leftovers as leftover_queries
from worker.archive.queries.rewriting import Order
from worker.archive.queries.rows import Part
from worker.archive.reading import ArchiveReader
from worker.archive.rules.tables import BY_NAME, ArchivedFile, Need
from worker.core.db.session import Database
from worker.storage.store import Store

_WITH_TEXTS = frozenset(["job", "generation", "call", "generation_reading"])


def load(tx: Connection, archive: ArchiveReader, batch_id: UUID) -> None:
    """Lock the batch, and make all archived rows visible to the transaction's statements.

    The sealed periods of one batch may have rows of any other. Raises ArchiveDamaged, ArchiveExtraMissing and
    StoreUnavailable.
    """
    parquet.require()
    leftover_queries.lock(tx, batch_id)
    archive.load(tx, archived.needed(tx, Need()))


def erase(database: Database, store: Store, tx: Connection, order: Order, part_of: Part) -> list[UUID]:
    """Erase these jobs of a batch that was loaded; gives one erasure for each of its parts that has some of them."""
    files = archived.files(tx, [part_of.batch_id])
    jobs = rewriting.chosen(tx, part_of)
    rewriting.keep(tx, jobs)
    rewriting.erase(tx, order.at)
    found: list[tuple[Part, list[ArchivedFile]]] = []
    for _, of_part in groupby(files, key=lambda each: each.part):
        old = list(of_part)
        part = Part(batch_id=part_of.batch_id, first=old[0].first_job_id, last=old[0].last_job_id)
        if any(part.first <= each <= part.last for each in jobs):
            new = [_rewrite(database, store, tx, each, part) for each in old if each.name in _WITH_TEXTS]
            found.append((part, [each for each in new if each is not None]))
    # The sealing of the books waits from the first record on, so all files are written before it.
    used = rewriting.used_images(tx)
    return [rewriting.record(tx, order, part, new, used) for part, new in found or [(part_of, [])]]


def _rewrite(database: Database, store: Store, tx: Connection, old: ArchivedFile, part: Part) -> ArchivedFile | None:
    """Store what the file has since its texts are erased; None when it had none."""
    table = BY_NAME[old.name]
    names = rows.columns(tx, table.name)
    digest = rows.digest(tx, table, part, names)
    if digest.sha256 == old.rows_sha256:
        return None
    content = parquet.encode(names, rows.read(tx, table, part, names))
    new = writing.file_of(table, part, old.part, digest, content)
    leftovers.note(database, part.batch_id, [new])
    writing.store_file(database, store, new, content)
    return new


def finish_removal(database: Database, batch_id: UUID) -> None:
    """Remove rows of the archived batch that are still in the tables: an archive run was cut off."""
    with database.transaction() as tx:
        is_left = batch_id in archived.unremoved(tx)
    if is_left:
        writing.remove(database, batch_id)


def span(batch_id: UUID, job_id: UUID | None) -> Part:
    """Return the one job, or all of the batch."""
    return Part(batch_id=batch_id, first=job_id or UUID(int=0), last=job_id or UUID(int=(1 << 128) - 1))
