"""One job: what happens next and when, and its whole life so far, from the order to the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row
from starlette.responses import Response

from worker.archive import jobs
from worker.audit.queries import journal
from worker.batches import explaining
from worker.batches.queries import results
from worker.batches.rules.explaining import Verdict
from worker.core.rules.states import JobState
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow
from worker.node.queries import nodes
from worker.web.api.operations import not_found
from worker.web.console.page import Visit
from worker.web.console.pictures import DRAWN
from worker.web.rules import wording

_LIVE = frozenset({JobState.PENDING, JobState.ACTIVE})
_FIRST, _LAST = 20, 80
"""Events of a long timeline that are shown; a job that was asked about for days has thousands between them."""
_TONES = {Verdict.ENDED: "good", Verdict.WORKING: "info", Verdict.WAITING: "info", Verdict.NEEDS_ACTION: "warn"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to the job."""

    at: datetime
    order: int
    tone: str
    title: str
    details: str = ""


def show(visit: Visit) -> Response:
    """Show the page."""
    job_id = visit.call.id("job_id")
    with jobs.seeing(visit.context.database, visit.context.archive, job_id) as tx:
        batch_id = results.batch_of(tx, job_id)
        row = None if batch_id is None else batches.by_id(tx, batch_id)
        if row is None:
            raise not_found("job")
        found = results.of_jobs(tx, [job_id])[job_id]
        events = sorted(_events(tx, job_id, row, visit.now), key=lambda each: (each.at, each.order))
        floor, alive = visit.context.settings.wallet_floor, nodes.count_alive(tx)
        said = explaining.explain_job(tx, job_id, nodes=alive, now=visit.now, wallet_floor=floor)
        assert said is not None
    left_out = max(0, len(events) - _FIRST - _LAST)
    return visit.render(
        "job.html",
        found=found,
        batch=row,
        events=[*events[:_FIRST], *events[_FIRST + left_out :]],
        left_out=left_out,
        first=_FIRST,
        said=said,
        tone="bad" if found.state is JobState.FAILED else _TONES[said.verdict],
        is_live=found.state in _LIVE,
        is_drawn=found.result is not None and found.result.mime_type in DRAWN,
    )


def _events(tx: Connection, job_id: UUID, row: BatchRow, now: datetime) -> Iterator[Event]:
    yield Event(at=row.created_at, order=0, tone="", title="Submitted", details=f"with the batch {row.name}")
    for call in journal.calls_of_job(job_id, as_of=now).rows(tx):
        yield _call(call)
    for entry in journal.entries_of_job(job_id, as_of=now).rows(tx):
        by = f" by {entry.actor}: {entry.reason}" if entry.actor else ""
        yield Event(
            at=entry.posted_at,
            order=2,
            tone="info",
            title=f"Ledger: {entry.kind.replace('_', ' ')} {wording.plural(entry.credits, 'credit')}",
            details=f"from {entry.source} to {entry.target}, attempt {entry.number}{by}",
        )
    for image in journal.images_of_job(job_id, as_of=now).rows(tx):
        details = f"{image.path}, {image.width} x {image.height}, {image.size_bytes:,} bytes, {image.mime_type}"
        yield Event(at=image.stored_at, order=3, tone="good", title="Image stored", details=details)


_CALLS = {
    "create": "Asked the provider to render it",
    "get": "Asked the provider whether it has ended",
    "upload": "Uploaded its reference",
    "download": "Downloaded its image",
}


def _call(call: Row[Any]) -> Event:
    took = "no answer was seen" if call.ended_at is None else f"answered after {_milliseconds(call)} ms"
    parts = [
        f"attempt {call.number}" + (f", copy {call.send}" if call.send and call.send > 1 else ""),
        took,
        f"HTTP {call.http_status}" if call.http_status else "",
        call.outcome if call.outcome != "ok" else "",
        call.code or "",
        call.message or "",
        f"provider id {call.provider_id}" if call.provider_id else "",
        f"request {call.request_id}" if call.request_id else "",
    ]
    return Event(
        at=call.started_at,
        order=1,
        tone="" if call.outcome == "ok" else "bad",
        title=_CALLS.get(call.kind, call.kind),
        details=" · ".join(filter(None, parts)),
    )


def _milliseconds(call: Row[Any]) -> str:
    return f"{max(0, round((call.ended_at - call.started_at).total_seconds() * 1000)):,}"
