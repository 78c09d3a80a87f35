"""The reports: each is a question to the ledger as of an instant, and its answer never changes."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from worker.archive.rules.tables import ArchivedRows
from worker.audit.reports import snapshot
from worker.audit.reports.export import changes, export, job
from worker.audit.reports.outstanding import outstanding
from worker.audit.reports.reconcile import reconcile
from worker.audit.reports.report import Report, ReportQuery, again
from worker.audit.reports.spend import spend
from worker.audit.reports.statement import statement
from worker.audit.reports.trial_balance import trial_balance
from worker.audit.rules.reporting import ReportName

__all__ = ["Report", "ReportQuery", "again", "build"]

_BUILDERS: Mapping[ReportName, Callable[[Connection, ReportQuery], Report]] = {
    ReportName.STATEMENT: statement,
    ReportName.OUTSTANDING: outstanding,
    ReportName.SPEND: spend,
    ReportName.TRIAL_BALANCE: trial_balance,
    ReportName.JOB: job,
    ReportName.RECONCILE: reconcile,
    ReportName.EXPORT: export,
    ReportName.CHANGES: changes,
}


def build(tx: Connection, asked: ReportQuery, archive: ArchivedRows | None = None) -> Report:
    """Return the report from one snapshot; the transaction must not have been used yet.

    Raises ArchiveNotRead when archived rows are part of it and ``archive`` is None.
    """
    snapshot.begin(tx, lambda: snapshot.load(tx, asked, archive))
    return _BUILDERS[asked.report](tx, asked)
