"""How long reports over a million entries take, and how long the proof of the books does."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text
from uuid_utils.compat import uuid7

from ops.bench import ground
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.volume import big_ledger
from worker.accounts.queries import accounts
from worker.audit import sealing
from worker.audit.evidence import printed
from worker.audit.reports import ReportQuery
from worker.audit.reports.report import Report
from worker.audit.reports.statement import statement
from worker.audit.rules.reporting import By, Format, ReportName
from worker.audit.verify import verify
from worker.core.db.session import Database

ENTRIES, QUICK_ENTRIES = 1_000_000, 100_000
SEALED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""After the last entry."""


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Time each statement as of the seal and as of an instant before it, and `audit verify`."""
    entries = QUICK_ENTRIES if is_quick else ENTRIES
    url = place.database_url("statements")
    database = ground.database(url)
    with database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=SEALED_AT)
    big_ledger.fill(url, account_id=account_id, entries=entries)
    seconds = dict(_timed(database))
    plan = _plan(database)
    database.close()
    return Finding(
        name="statement",
        title=f"Reports over {entries:,} entries",
        method=f"{entries:,} entries of {entries // 3:,} images in a year; each once, its text included.",
        columns=("what", "seconds"),
        rows=[(name, f"{took:.2f}") for name, took in seconds.items()],
        figures={"seconds": seconds, "plan": plan},
        notes=f"The plan of the statement by model:\n\n```\n{plan}\n```",
    )


def _timed(database: Database) -> Iterator[tuple[str, float]]:
    earlier = SEALED_AT - timedelta(days=60)
    yield "sealing all of it at once", _took(lambda: sealing.close_books(database, SEALED_AT))
    for by in By:
        yield f"statement by {by}", _took(partial(_print, database, by, SEALED_AT))
    for by in By:
        yield f"statement by {by}, as of long before its seal", _took(partial(_print, database, by, earlier))
    yield "trial balance", _took(lambda: _report(database, ReportName.TRIAL_BALANCE))
    yield "reconcile", _took(lambda: _report(database, ReportName.RECONCILE))
    yield "audit verify", _took(lambda: _verify(database))


def _took(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _print(database: Database, by: By, as_of: datetime) -> None:
    printed(database, ReportQuery(report=ReportName.STATEMENT, as_of=as_of, by=by), Format.TABLE)


def _report(database: Database, name: ReportName) -> None:
    printed(database, ReportQuery(report=name, as_of=SEALED_AT), Format.TABLE)


def _verify(database: Database) -> None:
    with database.transaction() as tx:
        found = verify(tx)
    if broken := [check.name for check in found.checks if not check.ok]:
        raise AssertionError(f"the books that were made up do not add up: {broken}")


def _plan(database: Database) -> str:
    with database.transaction() as tx:
        report: Report = statement(tx, ReportQuery(report=ReportName.STATEMENT, as_of=SEALED_AT, by=By.MODEL))
        (query,) = report.queries
        rows = tx.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {query.sql}"), query.values).scalars()
        return "\n".join(rows)
