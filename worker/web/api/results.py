"""The outcome of lines: as pages or as a stream in the order of lines, one job alone, and images from the store."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from worker.archive import jobs
from worker.archive.queries import archived
from worker.batches import views
from worker.batches.queries import results
from worker.batches.queries.results import BatchArchived, Outcome, RefusedLine
from worker.core.db import changes
from worker.core.db.session import Database
from worker.core.rules.fault import UnfitError
from worker.engine.queries import batches
from worker.storage.spool import NotStored
from worker.web.api.operations import JSON_TYPE, LINES_TYPE, Call, expect_acceptable, field_problem, not_found
from worker.web.api.schemas import ResultQuery
from worker.web.problems import Problem
from worker.web.rules import cursor

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
PRODUCED = (JSON_TYPE, LINES_TYPE)
_FIRST = (-1, UUID(int=0))
_STREAMED = 500
"""Lines of a stream that are read at once; each page is a short transaction, so a slow reader holds nothing open."""


def line(found: Outcome, batch_id: UUID, *, archived_at: datetime | None = None) -> dict[str, Any]:
    """Return the result of one job."""
    image = None if found.result is None else f"/api/v1/results/{found.job_id}/image"
    values = views.job(found, file=None) | {"archived_at": views.instant(archived_at)}
    values.pop("file")
    return {"job": str(found.job_id), "batch": str(batch_id), "image": image, **values}


def _refused(found: RefusedLine, batch_id: UUID) -> dict[str, Any]:
    values = views.refused_line(found) | {"archived_at": None}
    values.pop("file")
    return {"job": None, "batch": str(batch_id), "image": None, **values}


async def list_results(call: Call, query: ResultQuery) -> Response | dict[str, Any]:
    """Return the lines after a cursor: a page, or with ``Accept: application/x-ndjson`` all of them as a stream."""
    after = _FIRST if query.after is None else _place(query.after)
    is_export = expect_acceptable(call.request, PRODUCED) == LINES_TYPE
    batch_id = await call.in_thread(lambda: visible(call, is_export=is_export))
    if is_export:
        return StreamingResponse(_stream(call, batch_id, after), media_type=LINES_TYPE)
    page, last = await call.in_thread(lambda: _page(call.database, batch_id, after, query.limit))
    return {"results": page, "next": None if last is None else cursor.encode(*last)}


def visible(call: Call, *, is_export: bool, what: str = "results") -> UUID:
    """Return the batch of the path; who exports ``what`` of all of its jobs is in the log of changes."""
    with call.database.transaction() as tx:
        batch_id = call.batch(tx).id
        if archived.is_archived(tx, batch_id):
            raise BatchArchived(batch_id)
        if is_export:
            changes.record_export(tx, call.author(), f"batch:{batch_id}", what)
        return batch_id


def _place(text: str) -> tuple[int, UUID]:
    try:
        number, job_id = cursor.decode(text, parts=2)
        place = int(number), UUID(job_id)
    except ValueError:
        raise field_problem("after", UnfitError(cursor.NONE)) from None
    if not -1 <= place[0] < _LINES_END:
        raise field_problem("after", UnfitError(cursor.NONE))
    return place


_LINES_END = 2**62


def _page(
    database: Database, batch_id: UUID, after: tuple[int, UUID], limit: int
) -> tuple[list[dict[str, Any]], tuple[int, UUID] | None]:
    """Return the next lines, and the place after which the next page begins; None when there is none."""
    with database.transaction() as tx:
        found = results.page(tx, batch_id, after=after, limit=limit)
        refused = results.refused_page(tx, batch_id, after=after[0], limit=limit)
    both = [((each.line, each.job_id), line(each, batch_id)) for each in found]
    both += [((each.line, UUID(int=0)), _refused(each, batch_id)) for each in refused]
    both.sort(key=lambda each: each[0])
    shown = both[:limit]
    return [each for _, each in shown], shown[-1][0] if len(shown) == limit else None


async def _stream(call: Call, batch_id: UUID, after: tuple[int, UUID]) -> AsyncIterator[bytes]:
    async for page in pages(call, batch_id, after):
        yield b"".join(json.dumps(each).encode() + b"\n" for each in page)


async def pages(call: Call, batch_id: UUID, after: tuple[int, UUID] = _FIRST) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield all lines of the batch after a place, a page at a time."""
    place: tuple[int, UUID] | None = after
    while place is not None:
        began = place
        page, place = await call.in_thread(
            lambda began=began: _page(call.database, batch_id, began, _STREAMED),  # type: ignore[misc]
            call.api.long,
        )
        yield page


def show_job(call: Call) -> dict[str, Any]:
    """Return the result of one job."""
    batch_id, found, archived_at = _outcome(call)
    return line(found, batch_id, archived_at=archived_at)


def _outcome(call: Call) -> tuple[UUID, Outcome, datetime | None]:
    """Return the job's batch, the outcome of the job, and when it was archived; raises Problem, ArchiveUnreadable."""
    job_id = call.id("job_id")
    with jobs.seeing(call.database, call.context.archive, job_id, owner=call.principal.owner) as tx:
        batch_id = results.batch_of(tx, job_id)
        row = None if batch_id is None else batches.by_id(tx, batch_id)
        if row is None or not call.may_see(row):
            raise not_found("job")
        moved = archived.of_batch(tx, row.id)
        return row.id, results.of_jobs(tx, [job_id])[job_id], None if moved is None else moved.archived_at


async def show_image(call: Call) -> Response:
    """Return the image of a job as it is stored."""
    return await call.in_thread(lambda: _image(call), call.api.images)


def _image(call: Call) -> Response:
    _, found, _ = _outcome(call)
    stored = found.result
    if stored is None:
        raise Problem(404, "not_found", f"the job is {found.state} and has no image")
    headers = {
        "ETag": f'"{stored.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(found.key, safe='')}",
    }
    if headers["ETag"] in _tags(call.request, "if-none-match"):
        return Response(status_code=304, headers=headers)
    if call.request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(stored.size_bytes)}, media_type=stored.mime_type)
    return _part(call.request, _bytes(call, stored.path, stored.sha256), headers, stored.mime_type)


def _bytes(call: Call, path: str, expected: str) -> bytes:
    """Read the image; what is not the image that was paid for is not given as such."""
    try:
        content = call.context.store.read(path)
    except NotStored as error:
        raise Problem(404, error.error_code, error.explanation()) from None
    if sha256(content).hexdigest() != expected:
        raise Problem(503, "store_object_damaged", "the stored bytes are not those of the image: see `darkroom doctor`")
    return content


def _tags(request: Request, name: str) -> set[str]:
    return {each.strip().removeprefix("W/") for each in request.headers.get(name, "").split(",")}


def _part(request: Request, content: bytes, headers: dict[str, str], media_type: str) -> Response:
    """Answer the whole, or the one range that is asked for (RFC 9110, section 14); of several, the whole."""
    wanted = request.headers.get("range", "")
    is_same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    if not wanted.startswith("bytes=") or "," in wanted or not is_same:
        return Response(content, headers=headers, media_type=media_type)
    first, _, last = wanted.removeprefix("bytes=").strip().partition("-")
    size = len(content)
    if not (first or last) or not all(not each or (each.isascii() and each.isdigit()) for each in (first, last)):
        return Response(content, headers=headers, media_type=media_type)
    begin = int(first) if first else max(0, size - int(last))
    end = min(size - 1, int(last)) if first and last else size - 1
    if begin >= size or begin > end:
        raise Problem(
            416, "range_not_satisfiable", f"the image has {size:,} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    headers = headers | {"Content-Range": f"bytes {begin}-{end}/{size}"}
    return Response(content[begin : end + 1], 206, headers=headers, media_type=media_type)
