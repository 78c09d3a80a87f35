"""Every operation of the API, and its mount below /api/v1."""

from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from worker.web.api import batches, bulk, events, openapi, results, schemas, submit
from worker.web.api.operations import LINES_TYPE, Operation, RateHeaders
from worker.web.rules.identity import Right

PREFIX = "/api/v1"
_LINES = {"schema": {"type": "string", "description": "One JSON object with the columns of a manifest on each line"}}
_CSV = {"schema": {"type": "string", "description": "A header, and one row to a request"}}
_PARTS = {
    "schema": {
        "type": "object",
        "required": ["manifest"],
        "properties": {
            "batch": {"$ref": "#/components/schemas/BatchFields"},
            "manifest": {"type": "string", "description": "JSON lines or CSV; `reference` may name a file"},
            "files": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "Reference images, found by their file names",
            },
        },
    },
    "encoding": {"batch": {"contentType": "application/json"}},
}
_KEY = {"Idempotency-Key": "Names the submission: the same key with the same body is the same batch. Not for dry runs"}
_EVENT_ID = {"Last-Event-ID": "Continue after this event"}

_OF_CHANGES = (404, 408, 409, 413, 415, 422)
"""Statuses of the problems of every change of a batch."""
OPERATIONS = (
    Operation(
        name="submitBatch", method="POST", path="/batches", right=Right.SUBMIT, handler=submit.submit,
        summary="Submit a batch; it is checked whole, and taken whole or not at all",
        query=schemas.SubmitQuery, status=202, answer=schemas.Receipt, problems=(408, 409, 413, 415, 422),
        consumes={
            "application/json": {"schema": {"$ref": "#/components/schemas/Submission"}},
            LINES_TYPE: _LINES, submit.CSV_TYPE: _CSV, submit.PARTS_TYPE: _PARTS,
        },
        headers=_KEY,
    ),
    Operation(
        name="listBatches", method="GET", path="/batches", right=Right.READ, handler=batches.list_batches,
        summary="List batches, the newest first",
        query=schemas.ListQuery, answer=schemas.BatchPage, problems=(422,),
    ),
    Operation(
        name="getBatch", method="GET", path="/batches/{batch_id}", right=Right.READ, handler=batches.show_batch,
        summary="Show where a batch stands", answer=schemas.BatchInFull, problems=(404,),
    ),
    Operation(
        name="listResults", method="GET", path="/batches/{batch_id}/results", right=Right.READ,
        handler=results.list_results, summary="List the result of each line, in the order of lines",
        query=schemas.ResultQuery, answer=schemas.ResultPage, produces=results.PRODUCED, problems=(404, 422),
    ),
    Operation(
        name="followBatch", method="GET", path="/batches/{batch_id}/events", right=Right.READ,
        handler=events.follow_batch, summary="Follow a batch: an event for each job that ends, then one for the batch",
        produces=(events.EVENTS_TYPE,), problems=(404,), headers=_EVENT_ID,
    ),
    Operation(
        name="pauseBatch", method="POST", path="/batches/{batch_id}/pause", right=Right.CONTROL,
        handler=batches.pause_batch, summary="Begin nothing more of a batch for now",
        body=schemas.Reasoned, answer=schemas.Batch, problems=_OF_CHANGES,
    ),
    Operation(
        name="resumeBatch", method="POST", path="/batches/{batch_id}/resume", right=Right.CONTROL,
        handler=batches.resume_batch, summary="Resume a paused batch",
        body=schemas.Reasoned, answer=schemas.Batch, problems=_OF_CHANGES,
    ),
    Operation(
        name="cancelBatch", method="POST", path="/batches/{batch_id}/cancel", right=Right.CONTROL,
        handler=batches.cancel_batch, summary="Begin nothing more of a batch ever; what was sent is downloaded",
        body=schemas.Reasoned, answer=schemas.Cancelled, problems=_OF_CHANGES,
    ),
    Operation(
        name="retryBatch", method="POST", path="/batches/{batch_id}/retry", right=Right.CONTROL,
        handler=batches.retry_batch, summary="Ask for the failed jobs of a batch again",
        body=schemas.NewTry, answer=schemas.Retried, problems=_OF_CHANGES,
    ),
    Operation(
        name="setPriority", method="POST", path="/batches/{batch_id}/priority", right=Right.CONTROL,
        handler=batches.set_priority, summary="Give a batch another priority or weight",
        body=schemas.NewPriority, is_body_needed=True, answer=schemas.Turn, problems=_OF_CHANGES,
    ),
    Operation(
        name="setCap", method="PUT", path="/batches/{batch_id}/cap", right=Right.FINANCE,
        handler=batches.set_cap, summary="Set or lift the credits that a batch may commit",
        body=schemas.NewCap, is_body_needed=True, answer=schemas.CapChange, problems=_OF_CHANGES,
    ),
    Operation(
        name="getJob", method="GET", path="/jobs/{job_id}", right=Right.READ, handler=results.show_job,
        summary="Show the result of one job", answer=schemas.Line, problems=(404,),
    ),
    Operation(
        name="getImage", method="GET", path="/results/{job_id}/image", right=Right.READ, handler=results.show_image,
        summary="Download the image of a job", produces=results.IMAGE_TYPES, problems=(404, 416),
    ),
    Operation(
        name="followAll", method="GET", path="/events", right=Right.READ, handler=events.follow_all,
        summary="Follow all batches: an event for each job and each batch that ends from now on",
        produces=(events.EVENTS_TYPE,), headers=_EVENT_ID,
    ),
    Operation(
        name="createBulkOperation", method="POST", path="/bulk-operations", right=Right.READ, handler=bulk.create,
        summary="Preview an action on all that matches, which is frozen; nothing is done yet. It takes the right to"
        " control or, to decide on images, to review",
        body=bulk.NewBulkOperation, is_body_needed=True, status=201, answer=bulk.BulkOperation,
        problems=_OF_CHANGES,
    ),
    Operation(
        name="listBulkOperations", method="GET", path="/bulk-operations", right=Right.READ,
        handler=bulk.list_operations, summary="List bulk operations, the newest first",
        query=bulk.OperationQuery, answer=bulk.BulkOperations, problems=(422,),
    ),
    Operation(
        name="getBulkOperation", method="GET", path="/bulk-operations/{operation_id}", right=Right.READ,
        handler=bulk.show, summary="Show how far a bulk operation is", answer=bulk.BulkOperation,
        problems=(404,),
    ),
    Operation(
        name="listBulkItems", method="GET", path="/bulk-operations/{operation_id}/items", right=Right.READ,
        handler=bulk.list_items, summary="List the batches or images of a bulk operation, with the outcome of each",
        query=bulk.ItemQuery, answer=bulk.BulkItemPage, problems=(404, 422),
    ),
    Operation(
        name="startBulkOperation", method="POST", path="/bulk-operations/{operation_id}/start", right=Right.READ,
        handler=bulk.start, summary="Do a previewed bulk operation: at once what takes two seconds, the rest on nodes",
        status=202, answer=bulk.BulkOperation, problems=(404, 409),
    ),
    Operation(
        name="cancelBulkOperation", method="POST", path="/bulk-operations/{operation_id}/cancel", right=Right.READ,
        handler=bulk.cancel, summary="Stop a bulk operation: what is done stays done, what waits is skipped",
        answer=bulk.BulkOperation, problems=(404, 409),
    ),
    Operation(
        name="getAccount", method="GET", path="/account", right=Right.READ, handler=batches.show_account,
        summary="Show the state of the account: pause, rate and wallet", answer=schemas.Account, problems=(404,),
    ),
)  # fmt: skip


def document() -> dict[str, Any]:
    """Return the OpenAPI document of all operations."""
    return openapi.document(OPERATIONS, PREFIX)


def mount() -> Mount:
    """Return the routes of the API."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    described = Route("/openapi.json", _described, methods=["GET"])
    routes = [Route(path, _Endpoint(methods).respond, methods=list(methods)) for path, methods in by_path.items()]
    app = Router([described, *routes], redirect_slashes=False)
    return Mount(PREFIX, app=app, middleware=[Middleware(RateHeaders)])


async def _described(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse(document())


class _Endpoint:
    """The operations of one path, so that a method which has none is answered with those that there are."""

    def __init__(self, by_method: dict[str, Operation]) -> None:
        self._by_method = by_method

    async def respond(self, request: Request) -> Response:
        """Answer by the operation of the method; HEAD is a GET whose body is not sent."""
        return await self._by_method["GET" if request.method == "HEAD" else request.method].respond(request)
