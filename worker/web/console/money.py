"""Money: what a month has cost, what is open by age, and what finance does: caps, corrections, closing the books."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.responses import Response

from worker.audit import correct, sealing, verify
from worker.audit.queries import flows, in_doubt, seals
from worker.audit.queries.flows import Scope
from worker.audit.rules.dispute_decision import Signature
from worker.audit.rules.reporting import By
from worker.batches import control
from worker.core.rules.fault import UnfitError
from worker.core.rules.text import label
from worker.ledger.queries import approvals, budgets
from worker.web.api.operations import field_problem, not_found
from worker.web.console import page, report
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import home
from worker.web.queries import home as queries

TABS = (By.DAY, By.OWNER, By.CATALOG, By.MODEL)
_DONE = {
    "capped": "The monthly cap is set and in force.",
    "corrected": "The cost is corrected; the entry carries your name and reason.",
}


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
    scope = Scope(as_of=visit.now, from_day=first, to_day=last)
    with visit.context.database.transaction() as tx:
        lines = [Line(label=row.key, spent=row.spent) for row in flows.spent(by, scope).rows(tx) if row.spent]
        ages = home.open_by_age(tx, now=visit.now)
        owners = queries.owners(tx, first)
        waiting, sealed = approvals.waiting(tx, now=visit.now), seals.last(tx)
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
        reports=report.REPORTS,
        formats=report.FORMATS,
        lines_of=report.LINES_OF,
        waiting=waiting,
        sealed=sealed,
        did=_DONE.get(visit.asked("did"), "") or _closed(visit.asked("closed")),
    )


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


def cap_owner(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Set an owner's monthly cap, or remove it with an empty field; an expensive one needs two people."""
    by = visit.author(fields)
    try:
        owner = label(fields.get("owner", ""))
    except UnfitError as unfit:
        raise field_problem("owner", unfit) from None
    credits_ = _whole(fields, "credits") if fields.get("credits") else None
    above = visit.context.settings.approve_above
    control.cap_owner(visit.context.database, owner, credits_, by, approve_above=above)
    return page.redirect(visit.request, "/money?did=capped")


def correct_cost(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Correct the cost of an ended generation; an expensive correction needs two people."""
    if not fields.get("reason"):
        raise Problem(422, "request_invalid", "A correction needs a reason: it stands in the ledger.")
    spent, name = _whole(fields, "spent"), fields.get("generation", "")
    with visit.context.database.transaction() as tx:
        found = in_doubt.find_ended(tx, name) if len(name) >= _PREFIX_MIN else []
    if len(found) != 1:
        raise (
            not_found("generation")
            if not found
            else Problem(409, "ambiguous", f"{name!r} begins the ids of several generations: give more of it.")
        )
    by = visit.context.author(visit.who, fields["reason"])
    correct.correct(
        visit.context.database,
        found[0],
        spent,
        Signature(actor=by.actor, reason=fields["reason"]),
        new_id=by.new_id,
        now=by.now,
        approve_above=visit.context.settings.approve_above,
        may_exceed=bool(fields.get("over")),
    )
    return page.redirect(visit.request, "/money?did=corrected")


_PREFIX_MIN = 8
"""Characters of an id, as with the command."""


def _whole(fields: Mapping[str, str], name: str) -> int:
    digits = fields.get(name, "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):  # noqa: PLR2004 - fits a bigint
        raise Problem(422, "request_invalid", "Write credits as a whole number.")
    return int(digits)


def close(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Close the books now: nothing is posted at or before this instant any more."""
    at = sealing.close_books(visit.context.database, visit.context.clock())
    return page.redirect(visit.request, f"/money?closed={at:%Y-%m-%dT%H:%M:%SZ}")


def _closed(text: str) -> str:
    return f"The books are closed up to {text}: what is posted from now on is dated later." if text else ""


def check(visit: Visit) -> Response:
    """Check the invariants of the ledger and of job states, as `darkroom audit verify` does."""
    with visit.context.database.bulk_transaction(is_snapshot=True) as tx:
        found = verify.verify(tx, known=[], archive=visit.context.archive)
    return visit.render("verify.html", found=found)
