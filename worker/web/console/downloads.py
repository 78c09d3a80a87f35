"""Results of a batch as files: JSON lines and CSV, streamed and noted in the log of changes."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from worker.batches import views
from worker.core.output_files import csv_line
from worker.web.api import results
from worker.web.api.operations import Call


async def as_lines(call: Call) -> Response:
    """Return one JSON object a line, as ``GET /api/v1/batches/ID/results`` does."""
    batch_id = await call.in_thread(lambda: results.visible(call, is_export=True))
    return _file(_lines(call, batch_id), "application/x-ndjson", f"{batch_id}.jsonl")


async def _lines(call: Call, batch_id: UUID) -> AsyncIterator[bytes]:
    async for page in results.pages(call, batch_id):
        yield b"".join(json.dumps(each).encode() + b"\n" for each in page)


async def as_csv(call: Call) -> Response:
    """Return a table for spreadsheets, as ``darkroom results --csv`` does, with the address of each image."""
    batch_id = await call.in_thread(lambda: results.visible(call, is_export=True))
    return _file(_table(call, batch_id), "text/csv; charset=utf-8", f"{batch_id}.csv")


async def _table(call: Call, batch_id: UUID) -> AsyncIterator[bytes]:
    yield csv_line(views.CSV_COLUMNS).encode()
    async for page in results.pages(call, batch_id):
        yield "".join(csv_line(views.csv_values({**each, "file": each["image"]})) for each in page).encode()


def _file(content: AsyncIterator[bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)
