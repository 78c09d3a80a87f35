"""Images of catalogs, references and thumbnails, as stored: one address has one content, and is kept for ever."""

from hashlib import sha256
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute

from worker.archive import jobs
from worker.batches.queries import results
from worker.catalog.queries import review_queue
from worker.storage import thumbnails
from worker.storage.names import reference_path
from worker.storage.queries import references
from worker.storage.spool import NotStored
from worker.web.console import page
from worker.web.console.page import Visit
from worker.web.problems import Problem

DRAWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"})
"""What browsers draw, and run nothing of."""


def routes() -> list[BaseRoute]:
    """Return the addresses."""
    return [
        page.page("/pictures/{render_id}", _render),
        page.page("/pictures/references/{sha256}", _reference),
        page.page("/jobs/{job_id}/thumbnail/{sha256}", _thumbnail),
    ]


def _render(visit: Visit) -> Response:
    try:
        render_id = UUID(visit.request.path_params["render_id"])
    except ValueError:
        raise _missing() from None
    with visit.context.database.transaction() as tx:
        found = review_queue.picture(tx, render_id)
    if found is None:
        raise _missing()
    return _stored(visit, *found)


def _reference(visit: Visit) -> Response:
    wanted = visit.request.path_params["sha256"]
    with visit.context.database.transaction() as tx:
        found = references.find(tx, [wanted]).get(wanted)
    if found is None:
        raise _missing()
    return _stored(visit, reference_path(wanted), wanted, found.mime_type)


def _thumbnail(visit: Visit) -> Response:
    job_id, wanted = visit.call.id("job_id"), visit.request.path_params["sha256"]
    with jobs.seeing(visit.context.database, visit.context.archive, job_id) as tx:
        stored = results.stored(tx, job_id)
    if stored is None or stored.sha256 != wanted:
        raise _missing()
    headers = _kept_for_ever(wanted)
    if visit.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        small = thumbnails.kept(visit.context.store, stored.path, stored.sha256)
    except NotStored:
        small = None
    if small is None:
        raise _missing()
    return Response(small, headers=headers, media_type=thumbnails.MIME_TYPE)


def _stored(visit: Visit, path: str, expected: str, media_type: str) -> Response:
    headers = _kept_for_ever(expected)
    if visit.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if media_type not in DRAWN:
        raise Problem(415, "media_type_not_supported", f"Browsers do not show {media_type}.")
    try:
        content = visit.context.store.read(path)
    except NotStored:
        raise _missing() from None
    # What is not the image that was paid for is not shown as such.
    if sha256(content).hexdigest() != expected:
        raise Problem(503, "store_object_damaged", "The stored bytes are not those of the image: `darkroom doctor`.")
    return Response(content, headers=headers, media_type=media_type)


def _kept_for_ever(sha256_of_it: str) -> dict[str, str]:
    return {"Cache-Control": "private, max-age=31536000, immutable", "ETag": f'"{sha256_of_it}"'}


def _missing() -> Problem:
    return Problem(404, "not_found", "There is no such image.")
