"""Thumbnails of results under addresses that name their bytes, cached for ever."""

from starlette.responses import Response

from worker.batches.queries import results
from worker.storage import thumbnails
from worker.storage.spool import NotStored
from worker.web.api.operations import not_found
from worker.web.console.page import Visit


def show(visit: Visit) -> Response:
    """Return the thumbnail of a job's image."""
    job_id, wanted = visit.call.id("job_id"), visit.request.path_params["sha256"]
    with visit.context.database.transaction() as tx:
        stored = results.stored(tx, job_id)
    if stored is None or stored.sha256 != wanted:
        raise not_found("image")
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "ETag": f'"{stored.sha256}"'}
    if headers["ETag"] == visit.request.headers.get("if-none-match"):
        return Response(status_code=304, headers=headers)
    try:
        small = thumbnails.kept(visit.context.store, stored.path, stored.sha256)
    except NotStored:
        small = None
    if small is None:
        raise not_found("image")
    return Response(small, headers=headers, media_type=thumbnails.MIME_TYPE)
