"""Reports as downloads: every one that the commands print, each with its evidence in one archive."""

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from worker.audit import evidence, sealing
from worker.audit.queries import journal
from worker.audit.reports.report import ReportQuery
from worker.audit.rules.reporting import By, Format, ReportName, SpendBy
from worker.core.db import changes
from worker.web.api.operations import Call, not_found
from worker.web.problems import Problem

REPORTS = (
    (ReportName.STATEMENT, "Statement", "balances before, movements, and balances after"),
    (ReportName.SPEND, "Spend", "per batch or image: held, reserved, charged and given back"),
    (ReportName.OUTSTANDING, "Outstanding", "held or reserved and not decided yet, the oldest first"),
    (ReportName.TRIAL_BALANCE, "Trial balance", "the four accounts of each batch, which add up to zero"),
    (ReportName.RECONCILE, "Reconciliation", "changes of the wallet against the ledger"),
    (ReportName.EXPORT, "Entries", "every entry of the ledger"),
    (ReportName.CHANGES, "Changes", "who changed or decided what"),
    (ReportName.JOB, "Job", "the whole life of one image"),
)
FORMATS = (Format.XLSX, Format.CSV, Format.JSON, Format.HLEDGER)
LINES_OF: Mapping[ReportName, tuple[By | SpendBy, ...]] = {
    ReportName.STATEMENT: tuple(By),
    ReportName.SPEND: tuple(SpendBy),
}
"""What each line of a report may stand for."""
_NEAR_S, _TOP_UP_FROM = 120, 100
"""As the command has them by default."""
_OF_DAYS = frozenset({ReportName.STATEMENT, ReportName.RECONCILE, ReportName.EXPORT})
"""Reports that can be about some days alone."""
_OF_BATCHES = frozenset(
    {ReportName.STATEMENT, ReportName.SPEND, ReportName.OUTSTANDING, ReportName.TRIAL_BALANCE, ReportName.EXPORT}
)
"""Reports that can be about one owner or batch alone."""


async def download(call: Call) -> Response:
    """Return a report and the evidence for it, both in one archive."""
    return await run_in_threadpool(_made, call, call.request.query_params)


def _made(call: Call, asked: Mapping[str, str]) -> Response:
    report, as_format = _report(asked)
    limits = _limits(call, report, asked)
    instant = sealing.closed_instant(call.database, _instant(asked.get("as_of", "")), now=call.context.clock())
    query = ReportQuery(report=report, as_of=instant, **limits)
    printed = evidence.printed(call.database, query, as_format, call.context.archive)
    of = "".join(f", {name} {value}" for name, value in limits.items() if value is not None)
    with call.database.transaction() as tx:
        what = f"{as_format.value} as of {instant.isoformat()}{of}"
        changes.record_export(tx, call.author(), f"report:{report.value}", what)
    name = f"{report.value}-{instant:%Y%m%dT%H%M%SZ}.{as_format.value}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, printed.body)
        archive.writestr(name + evidence.SUFFIX, printed.evidence_bytes)
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(buffer.getvalue(), headers=headers, media_type="application/zip")


def _report(asked: Mapping[str, str]) -> tuple[ReportName, Format]:
    try:
        report, as_format = ReportName(asked.get("report", "")), Format(asked.get("format", ""))
    except ValueError:
        raise _no_report() from None
    if as_format not in FORMATS:
        raise _no_report()
    if as_format is Format.HLEDGER and report is not ReportName.EXPORT:
        raise Problem(422, "request_invalid", "A journal for hledger has the entries: choose the report Entries.")
    return report, as_format


def _limits(call: Call, report: ReportName, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the report is limited to; raise Problem for what cannot be."""
    first, last = _day(asked.get("from", "")), _day(asked.get("to", ""))
    if first is not None and last is not None and last < first:
        raise Problem(422, "request_invalid", "The last day lies before the first.")
    found: dict[str, Any] = {"by": _lines(report, asked.get("by", ""))} if report in LINES_OF else {}
    if report in _OF_DAYS:
        found |= {"from_day": first, "to_day": last}
    if report in _OF_BATCHES:
        found |= {"owner": asked.get("owner", "").strip() or None, "batch_id": _batch(asked.get("batch", "").strip())}
    if report is ReportName.RECONCILE:
        found |= {"near_s": _NEAR_S, "top_up_from": _TOP_UP_FROM}
    if report is ReportName.CHANGES:
        found["subject"] = asked.get("subject", "").strip() or None
    if report is ReportName.JOB:
        with call.database.transaction() as tx:
            found["job_id"] = journal.find_job(tx, asked.get("job", "").strip())
        if found["job_id"] is None:
            raise not_found("job: give its id, that of a generation or the provider's, or an idempotency key")
    return found


def _lines(report: ReportName, text: str) -> By | SpendBy:
    """Return what each line stands for; one that the report does not know stands for its first."""
    kinds = LINES_OF[report]
    return next((each for each in kinds if each == text), kinds[0])


def _batch(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Problem(422, "request_invalid", "A batch is named by its id here: its page shows it.") from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Problem(422, "request_invalid", f"{text!r} is no day: write 2026-11-30.") from None


def _instant(text: str) -> datetime | None:
    """Return the end of a day, or an instant; None: now."""
    try:
        if len(text) == len("2026-11-30"):
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise Problem(422, "request_invalid", f"{text!r} is no day: write 2026-11-30.") from None
    if found is not None and found.tzinfo is None:
        raise Problem(422, "request_invalid", f"{text!r} has no time zone: write {text}Z for UTC.")
    return found


def _no_report() -> Problem:
    return Problem(422, "request_invalid", "There is no such report: choose one on the page Money.")
