"""Money: what a month has cost by day, owner, catalog and model, what is open by age, and reports with evidence."""

import io
import zipfile
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from worker.audit import evidence, sealing
from worker.audit.reports.report import Report, ReportQuery
from worker.audit.reports.statement import statement
from worker.audit.rules.reporting import By, Format, ReportName, SpendBy
from worker.ledger.queries import budgets
from worker.web.api.operations import Call
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import home as queries
from worker.web.queries import open_amounts

TABS = (By.DAY, By.OWNER, By.CATALOG, By.MODEL)
REPORTS = (
    (ReportName.STATEMENT, "Statement", "what stood in the accounts, what moved, what stands there now"),
    (ReportName.SPEND, "Spend", "per batch: held, reserved, charged and given back"),
    (ReportName.OUTSTANDING, "Outstanding", "held or reserved and not decided yet, the oldest first"),
    (ReportName.TRIAL_BALANCE, "Trial balance", "the four accounts of each batch, which add up to zero"),
    (ReportName.RECONCILE, "Reconciliation", "changes of the wallet against the ledger"),
    (ReportName.EXPORT, "Entries", "every entry of the ledger"),
    (ReportName.CHANGES, "Changes", "who changed or decided what"),
)
FORMATS = (Format.XLSX, Format.CSV, Format.JSON)
_LINES: Mapping[ReportName, By | SpendBy] = {ReportName.STATEMENT: By.DAY, ReportName.SPEND: SpendBy.BATCH}
_NEAR_S, _TOP_UP_FROM = 120, 100
"""As the command has them by default."""
_OF_DAYS = frozenset({ReportName.STATEMENT, ReportName.RECONCILE, ReportName.EXPORT})
"""Reports that can be about some days alone."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one day, owner, catalog or model has cost in the month."""

    label: str
    spent: int


def show(visit: Visit) -> Response:
    """Show one month."""
    first = _month(visit)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    by = _by(visit)
    asked = ReportQuery(report=ReportName.STATEMENT, as_of=visit.now, by=by, from_day=first, to_day=last)
    with visit.context.database.transaction() as tx:
        lines = _lines(statement(tx, asked))
        ages = open_amounts.by_age(tx, now=visit.now)
        owners = queries.owners(tx, first)
    return visit.render(
        "money.html",
        month=first,
        before=(first - timedelta(days=1)).replace(day=1),
        after=None if last >= visit.now.date() else last + timedelta(days=1),
        last=last,
        by=by,
        tabs=TABS,
        lines=lines if by is By.DAY else sorted(lines, key=lambda each: (-each.spent, each.label)),
        total=sum(each.spent for each in lines),
        ages=ages,
        owners=[each for each in owners if each.cap is not None],
        reports=REPORTS,
        formats=FORMATS,
    )


def _lines(found: Report) -> list[Line]:
    section = found.sections[0]
    places = {column.name: at for at, column in enumerate(section.columns)}
    before, after = places["opening_spent"], places["closing_spent"]
    lines = [Line(label=str(row[0]), spent=_credits(row[after]) - _credits(row[before])) for row in section.rows]
    return [each for each in lines if each.spent]


def _credits(cell: object) -> int:
    return cell if isinstance(cell, int) else 0


def _month(visit: Visit) -> date:
    text = visit.asked("month")
    if not text:
        return budgets.month_of(visit.now)
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Problem(404, "not_found", f"There is no month {text!r}: it is written 2026-11.") from None


def _by(visit: Visit) -> By:
    text = visit.asked("by") or By.DAY.value
    found = next((each for each in TABS if each == text), None)
    if found is None:
        raise Problem(404, "not_found", f"Spend is not shown by {text!r}.")
    return found


async def download(call: Call) -> Response:
    """Return a report and the evidence for it, both in one archive."""
    return await run_in_threadpool(_made, call, call.request.query_params)


def _made(call: Call, asked: Mapping[str, str]) -> Response:
    report, as_format, days = _asked(asked)
    instant = sealing.closed_instant(call.database, None, now=call.context.clock())
    is_wallet, is_of_days = report is ReportName.RECONCILE, report in _OF_DAYS
    query = ReportQuery(
        report=report,
        as_of=instant,
        by=_LINES.get(report),
        from_day=days[0] if is_of_days else None,
        to_day=days[1] if is_of_days else None,
        near_s=_NEAR_S if is_wallet else None,
        top_up_from=_TOP_UP_FROM if is_wallet else None,
    )
    printed = evidence.printed(call.database, query, as_format)
    name = f"{report.value}-{instant:%Y%m%dT%H%M%SZ}.{as_format.value}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, printed.body)
        archive.writestr(name + evidence.SUFFIX, printed.evidence_bytes)
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(buffer.getvalue(), headers=headers, media_type="application/zip")


def _asked(asked: Mapping[str, str]) -> tuple[ReportName, Format, tuple[date | None, date | None]]:
    try:
        report, as_format = ReportName(asked.get("report", "")), Format(asked.get("format", ""))
        first, last = (date.fromisoformat(asked[name]) if asked.get(name) else None for name in ("from", "to"))
    except ValueError:
        raise Problem(422, "request_invalid", "There is no such report: choose one on the page Money.") from None
    if report not in {each[0] for each in REPORTS} or as_format not in FORMATS:
        raise Problem(422, "request_invalid", "There is no such report: choose one on the page Money.")
    if first is not None and last is not None and last < first:
        raise Problem(422, "request_invalid", "The last day lies before the first.")
    return report, as_format, (first, last)
