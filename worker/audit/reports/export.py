"""Exports: every entry of the ledger, and every change that a person made, for other bookkeeping."""

from sqlalchemy import Connection

from worker.audit.queries import journal
from worker.audit.reports.report import Report, ReportQuery, Section, columns

ENTRIES = columns(
    "id:count posted_at:instant batch_id batch owner job_id key model generation_id number:count kind source target"
    " credits:credits actor reason"
)


def export(tx: Connection, asked: ReportQuery) -> Report:
    """Return the entries in the order of writing."""
    query = journal.entries(asked.scope)
    rows = [tuple(row) for row in query.stream(tx)]
    return Report(
        name=asked.report,
        title="Entries of the ledger",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(Section(name="entries", columns=ENTRIES, rows=rows),),
        queries=(query,),
    )


_COLUMNS = columns("changed_at:instant subject field before after actor login reason id")


def changes(tx: Connection, asked: ReportQuery) -> Report:
    """Return every change up to the instant, oldest first."""
    query = journal.changes(as_of=asked.as_of, subject=asked.subject)
    rows = [tuple(row) for row in query.rows(tx)]
    return Report(
        name=asked.report,
        title="Changes by persons",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(Section(name="changes", columns=_COLUMNS, rows=rows),),
        queries=(query,),
    )
