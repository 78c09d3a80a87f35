"""One batch: where it stands and why, what failed, its images, and what can be done about it."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection
from starlette.responses import Response

from worker.accounts.queries import pools
from worker.archive.queries import archived
from worker.batches import deadlines
from worker.batches.queries import failed_jobs, results, throughput
from worker.batches.queries.overview import Overview
from worker.batches.queries.results import Outcome
from worker.core.db import changes
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import ACTS_ON, BatchAction, BatchState, JobState
from worker.engine.queries import batches
from worker.web.api import batches as api
from worker.web.api import operations
from worker.web.api.schemas import Asked, NewCap, NewPriority, NewTry, Reasoned
from worker.web.console import batches as batch_pages
from worker.web.console import page
from worker.web.console.fields import Fields
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import batch_list
from worker.web.rules import cursor

T = TypeVar("T", bound=Asked)
_PAGE, _MORE = 60, 240
"""Images on a page, and those that come at once while its gallery is scrolled."""
_FAULTS_SHOWN = 20
_CHANGES_SHOWN = 5
_FIRST, _NOWHERE = (-1, UUID(int=0)), (-2, UUID(int=0))
_LINES_END = 1 << 31
DONE = {
    "submitted": "The batch is submitted. This page follows it.",
    "paused": "The batch is paused: nothing more of it is begun, and what is at the provider is downloaded.",
    "resumed": "The batch is resumed.",
    "cancelled": "The batch is cancelled: nothing more is begun, and what is at the provider is paid and downloaded.",
    "retried": "The failed jobs are retried.",
    "capped": "The cap is set.",
    "turned": "The batch has another turn; it counts for its jobs that wait.",
    "dated": "The deadline is set. Jobs that an earlier one has ended stay ended.",
    "undated": "The batch has no deadline any more. Jobs that it has ended stay ended.",
}
"""What a page says after a form of it was carried out."""


def show(visit: Visit) -> Response:
    """Show the page, or more of its images alone for a gallery that is scrolled."""
    if visit.is_fragment and visit.asked("after"):
        return _more(visit)
    with visit.context.database.transaction() as tx:
        row = visit.call.batch(tx)
        found = api.look(visit.call, tx, row)
        jobs = {row.id: found.jobs}
        values: dict[str, Any] = {
            "found": found,
            "split": batch_list.split(tx, jobs)[row.id],
            "clocks": throughput.clocks(tx, row.id),
            "failures": failed_jobs.by_code(tx, row.id),
            "faults": batches.faults(tx, row.id)[:_FAULTS_SHOWN],
            "changes": changes.newest(tx, subject=f"batch:{row.id}", after=None, limit=_CHANGES_SHOWN),
            "left": _left(tx, found),
            "payers": pools.payers_of_batch(tx, row.id, spent=found.spent),
            "archived": archived.of_batch(tx, row.id),
            "retry": failed_jobs.price(tx, row.id, code=None),
        }
        lines, following = _lines(visit, tx, row.id, _PAGE)
    return visit.render(
        "batch.html",
        batch_id=row.id,
        lines=lines,
        following=following,
        shown=visit.asked("show"),
        code=visit.asked("code"),
        may_do=_actions(found) - ({"retry"} if values["archived"] else set()),
        priorities=list(Priority),
        did=DONE.get(visit.asked("did"), ""),
        **values,
    )


def _more(visit: Visit) -> Response:
    with visit.context.database.transaction() as tx:
        row = visit.call.batch(tx)
        lines, following = _lines(visit, tx, row.id, _MORE)
    return visit.render("gallery.html", batch_id=row.id, lines=lines, following=following)


def _left(tx: Connection, found: Overview) -> str:
    if found.state != "running":
        return ""
    remaining = found.jobs[JobState.PENDING] + found.jobs[JobState.ACTIVE]
    return batch_pages.time_left(throughput.of_batch(tx, found.batch), remaining)


def _actions(found: Overview) -> set[str]:
    """Return what can be done about the batch in its state."""
    state = found.batch.state
    able = {action.value for action in (BatchAction.PAUSE, BatchAction.RESUME) if state in ACTS_ON[action]}
    if found.is_done:
        able.clear()
    elif state is not BatchState.CANCELLED:
        able.add("cancel")
    if found.jobs[JobState.FAILED]:
        able.add("retry")
    if state is BatchState.REFUSED:
        return able
    return able | ({"cap"} if found.is_done else {"cap", "deadline", "priority"})


def _lines(visit: Visit, tx: Connection, batch_id: UUID, count: int) -> tuple[list[Outcome], str | None]:
    """Return a page of the batch's lines, and where the next one begins."""
    asked = visit.asked("show")
    if asked and asked not in set(JobState):
        raise Problem(404, "not_found", f"There are no lines in the state {asked!r}.")
    found = results.page(
        tx,
        batch_id,
        after=_place(visit.asked("after")),
        limit=count + 1,
        state=JobState(asked) if asked else None,
        code=visit.asked("code") or None,
    )
    shown = found[:count]
    return shown, cursor.encode(shown[-1].line, shown[-1].job_id) if len(found) > count else None


def _place(text: str) -> tuple[int, UUID]:
    if not text:
        return _FIRST
    try:
        number, job_id = cursor.decode(text, parts=2)
        place = int(number), UUID(job_id)
    except ValueError:
        place = _NOWHERE
    if not -1 <= place[0] < _LINES_END:
        raise Problem(404, "not_found", "This page of lines is not known: begin at the first.")
    return place


def path_of(batch_id: Any, did: str = "") -> str:
    """Return the page's address, saying what was done."""
    return f"/batches/{batch_id}" + (f"?did={did}" if did else "")


def pause(visit: Visit, fields: Fields) -> Response:
    """Begin nothing more for now."""
    api.pause_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "paused")


def resume(visit: Visit, fields: Fields) -> Response:
    """Go on."""
    api.resume_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "resumed")


def cancel(visit: Visit, fields: Fields) -> Response:
    """Begin nothing more ever."""
    api.cancel_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "cancelled")


def retry(visit: Visit, fields: Fields) -> Response:
    """Retry the failed jobs at no more than the price that the page showed."""
    api.retry_batch(visit.call, _read(NewTry, fields, "reason", "code", "max_credits"))
    return _back(visit, "retried")


def cap(visit: Visit, fields: Fields) -> Response:
    """Set the cap; an empty field lifts it."""
    given = {"credits": fields.get("credits", "").replace(",", "") or None, "reason": fields.get("reason") or None}
    asked = operations.parsed(NewCap, given, "form")
    assert isinstance(asked, NewCap)
    api.set_cap(visit.call, asked)
    return _back(visit, "capped")


def priority(visit: Visit, fields: Fields) -> Response:
    """Give the batch another class, or another share of its class."""
    api.set_priority(visit.call, _read(NewPriority, fields, "priority", "weight", "reason"))
    return _back(visit, "turned")


def deadline(visit: Visit, fields: Fields) -> Response:
    """Set until when the batch may run; an empty field lifts it."""
    by, text = visit.author(fields), fields.get("when", "")
    at = api.deadline_at(text, by.now) if text else None
    with visit.context.database.transaction() as tx:
        batch_id = visit.call.batch(tx).id
    deadlines.change(visit.context.database, batch_id, at, by)
    return _back(visit, "dated" if at else "undated")


def _read(model: type[T], fields: Fields, *names: str) -> T:
    """Return the fields that are filled in; raise Problem for what cannot be."""
    found = operations.parsed(model, {name: fields[name] for name in names if fields.get(name)}, "form")
    assert isinstance(found, model)
    return found


def _back(visit: Visit, did: str) -> Response:
    return page.redirect(visit.request, path_of(visit.request.path_params["batch_id"], did))
