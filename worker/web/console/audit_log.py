"""The log of changes: who changed or decided what, and why."""

from datetime import UTC, datetime
from uuid import UUID

from starlette.responses import Response

from worker.core.db import changes
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.rules import cursor

_PAGE = 50


def show(visit: Visit) -> Response:
    """Show a page of the log."""
    subject, actor = visit.asked("subject").replace("\0", ""), visit.asked("actor").replace("\0", "")
    after = _place(visit.asked("after"))
    with visit.context.database.transaction() as tx:
        found = changes.newest(tx, limit=_PAGE + 1, after=after, subject=subject or None, actor=actor or None)
    last = found[_PAGE - 1] if len(found) > _PAGE else None
    return visit.render(
        "audit_log.html",
        changes=found[:_PAGE],
        subject=subject,
        actor=actor,
        next=None if last is None else cursor.encode(last.changed_at.isoformat(), last.id),
        is_first=after is None,
    )


def _place(text: str) -> tuple[datetime, UUID] | None:
    if not text:
        return None
    try:
        changed_at, change_id = cursor.decode(text, parts=2)
        return datetime.fromisoformat(changed_at).astimezone(UTC), UUID(change_id)
    except (ValueError, OverflowError):
        raise Problem(404, "not_found", "This page of the log is not known: begin at the newest changes.") from None
