"""Results of a batch as files: JSON lines, CSV, and all images as a ZIP; streamed, and noted in the log of changes."""

import json
import zipfile
from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from io import RawIOBase
from typing import Any
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from worker.batches import views
from worker.batches.queries import results as outcomes
from worker.batches.queries.results import Outcome
from worker.core.output_files import csv_line
from worker.storage import names
from worker.storage.store import NotStored, Store
from worker.web.api import results
from worker.web.api.operations import Call

_IMAGES_AT_ONCE = 20
"""Images that are looked up at once; each is read, sent and forgotten before the next."""
MISSING = "MISSING.txt"


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


async def as_zip(call: Call) -> Response:
    """Return every image, named by its key as ``darkroom download`` does, and a list of those that are missing."""
    batch_id = await call.in_thread(lambda: results.visible(call, is_export=True, what="images"))
    return _file(_zipped(call, batch_id), "application/zip", f"{batch_id}.zip")


async def _zipped(call: Call, batch_id: UUID) -> AsyncIterator[bytes]:
    buffer, missing = _Sent(), list[str]()
    after: tuple[int, UUID] = (-1, UUID(int=0))
    with zipfile.ZipFile(buffer, "w") as archive:
        while page := await call.in_thread(partial(_images, call, batch_id, after), call.api.long):
            for found in page:
                await call.in_thread(partial(_add, archive, call.context.store, found, missing), call.api.images)
                yield buffer.taken()
            after = (page[-1].line, page[-1].job_id)
        if missing:
            archive.writestr(MISSING, "".join(f"{each}\n" for each in missing))
    yield buffer.taken()


def _images(call: Call, batch_id: UUID, after: tuple[int, UUID]) -> list[Outcome]:
    with call.database.transaction() as tx:
        return outcomes.page(tx, batch_id, after=after, limit=_IMAGES_AT_ONCE)


def _add(archive: zipfile.ZipFile, store: Store, found: Outcome, missing: list[str]) -> None:
    """Put the job's image into the archive; what is not the image that was paid for is listed in its place."""
    if found.result is None:
        return
    name = names.image_name(found.key, found.result.mime_type)
    try:
        content = store.read(found.result.path)
    except NotStored:
        missing.append(f"{name}: not in the store")
        return
    if sha256(content).hexdigest() != found.result.sha256:
        missing.append(f"{name}: the stored bytes are not those of the image: see `darkroom doctor --verify-store`")
        return
    # An image is compressed already.
    archive.writestr(name, content, zipfile.ZIP_STORED)


class _Sent(RawIOBase):
    """A file that only grows: what was written is taken away and sent, so that no archive lies in memory or on disk."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        self._parts.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _file(content: AsyncIterator[bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)
