"""Changes: who changed or decided what, from what to what, and why."""

from sqlalchemy import Connection

from worker.audit.queries import change_log
from worker.audit.reports.report import Report, Section, columns
from worker.audit.reports.report_query import ReportQuery

_COLUMNS = columns("changed_at:instant subject field before after actor reason id")


def changes(tx: Connection, asked: ReportQuery) -> Report:
    """Return every change up to the instant, oldest first."""
    query = change_log.changes(as_of=asked.as_of, subject=asked.subject)
    rows = [tuple(row) for row in query.rows(tx)]
    return Report(
        name=asked.report,
        title="Changes by persons",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(Section(name="changes", columns=_COLUMNS, rows=rows),),
        queries=(query,),
    )
