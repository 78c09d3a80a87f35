"""The snapshot that a report is made from, with the rows of archived batches that it reads."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.queries import archived
from worker.archive.rules.tables import ArchivedRows, Need
from worker.audit.reports.report import ReportQuery
from worker.audit.rules.reporting import ReportName
from worker.core.rules.errors import DarkroomError

T = TypeVar("T")


class ArchiveNotRead(DarkroomError):
    """The report needs archived batches, and no store is configured to read them from."""

    error_code = "archive_not_read"

    def __init__(self, batches: int) -> None:
        """Keep how many."""
        super().__init__(batches)
        self.batches = batches

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"{self.batches:,} archived batches are part of the answer, and no store is known that has them: set"
            " DARKROOM_STORE, and install 'darkroom[archive]'"
        )


def begin(tx: Connection, load: Callable[[], T]) -> T:
    """Begin a snapshot that becomes read-only after ``load``.

    It must not have been used yet, unless it is a snapshot already: behind a pooler each one is used as it begins.
    """
    tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    tx.execute(text("SET LOCAL statement_timeout = 0"))
    # Between two files of the archive the session rests for as long as the store takes.
    tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    loaded = load()
    tx.execute(text("SET TRANSACTION READ ONLY"))
    return loaded


def load(tx: Connection, asked: ReportQuery, archive: ArchivedRows | None) -> None:
    """Make the archived batches that the report needs visible to the transaction's statements.

    Raises ArchiveNotRead, or what is wrong with a file of the archive.
    """
    if needed := _needed(tx, asked):
        required(archive, needed).load(tx, needed)


def required(archive: ArchivedRows | None, batch_ids: Sequence[UUID]) -> ArchivedRows:
    """Return the reader of archived batches; raise ArchiveNotRead where there is none."""
    if archive is None:
        raise ArchiveNotRead(len(batch_ids))
    return archive


def _needed(tx: Connection, asked: ReportQuery) -> list[UUID]:
    if asked.report is ReportName.CHANGES:
        return []
    return archived.needed(tx, _need(tx, asked))


def _need(tx: Connection, asked: ReportQuery) -> Need:
    """Return which batches have rows that the report is made of."""
    if asked.report is ReportName.JOB:
        return Need(job_id=asked.job_id)
    if asked.report in {ReportName.STATEMENT, ReportName.TRIAL_BALANCE}:
        # They are made of the sums of whole seals, and of what was posted since.
        return Need(owner=asked.owner, batch_id=asked.batch_id, after_entry=archived.rolled_up_to(tx, asked.as_of))
    if asked.report is ReportName.OUTSTANDING:
        # Of an archived batch nothing lies open after its last entry.
        return Need(owner=asked.owner, batch_id=asked.batch_id, after=asked.as_of)
    return Need(owner=asked.owner, batch_id=asked.batch_id)
