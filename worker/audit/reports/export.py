"""Export: every entry of the ledger with what it was for, for other bookkeeping."""

from sqlalchemy import Connection

from worker.audit.queries import journal
from worker.audit.reports.report import Report, Section, columns
from worker.audit.reports.report_query import ReportQuery

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
