"""The offline review sheet: packed to be sent to a reviewer, and the files of decisions that come back, applied."""

from collections.abc import Iterator
from functools import partial
from typing import IO

from starlette.responses import Response, StreamingResponse

from worker.catalog import decisions
from worker.catalog import review as sheets
from worker.catalog.queries import catalogs
from worker.catalog.rules.decisions import Decision, DecisionsFaulty, read, read_all
from worker.contact_sheet import originals
from worker.core.db import changes
from worker.core.rules.fault import quoted
from worker.web.api.bodies import Upload
from worker.web.api.operations import Call, not_found
from worker.web.console.catalog import review
from worker.web.console.page import Visit

_MOST_BYTES = 64 << 20
"""Of all files together, which are held in memory; the sheet of 2,000 images saves less than 4 MB."""

_PIECE_BYTES = 256 << 10


async def download(call: Call) -> Response:
    """Return the images that wait as `darkroom catalog sheet --zip` packs them, noted in the log of changes."""
    return await call.in_thread(partial(_packed, call), call.api.long)


def _packed(call: Call) -> Response:
    name, database, store = call.request.path_params["name"], call.database, call.context.store
    with database.transaction() as tx:
        catalog = None if "\0" in name else catalogs.by_name(tx, name)
        if catalog is None:
            raise not_found("catalog")
        changes.record_export(tx, call.author(), f"catalog:{catalog.id}", "sheet of the images that wait")
    file_name = f"{sheets.stem_of(name)}-review.zip"
    with store.spool.scratch() as folder:
        with originals.packed(store, folder / file_name) as (page, images):
            context = call.context
            sheets.write_sheets(database, images, catalog, page, now=context.clock(), new_id=context.new_id)
        # The open file outlives its folder: it is gone when the answer is, however that ends.
        file = (folder / file_name).open("rb")
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return StreamingResponse(_pieces(file), headers=headers, media_type="application/zip")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def take(visit: Visit, sent: Upload) -> Response:
    """Apply the decisions of all files together; a file that cannot be used, and nothing was decided."""
    desk = review.desk_of(visit)
    paths = {name: path for name, path in sent.files.items() if name}
    if not paths:
        return _refused(desk, {"": ["Choose the file that the sheet has saved."]})
    if sum(path.stat().st_size for path in paths.values()) > _MOST_BYTES:
        return _refused(desk, {"": [f"The files have more than {_MOST_BYTES:,} bytes: send them one after the other."]})
    contents = {name: path.read_bytes() for name, path in paths.items()}
    if faults := _faults(contents, desk.catalog.name):
        return _refused(desk, faults)
    return review.applied(desk, _applied(desk, read_all(contents.values(), catalog=desk.catalog.name)))


def _applied(desk: review.Desk, made: list[Decision]) -> decisions.Effect:
    """Let them take effect in the name of who has sent them."""
    context = desk.visit.context
    return decisions.decide(
        context.database,
        context.store,
        desk.catalog.id,
        made,
        by=desk.visit.who.actor,
        now=desk.visit.now,
        new_id=context.new_id,
    )


def _faults(contents: dict[str, bytes], catalog: str) -> dict[str, list[str]]:
    """Return what is wrong with each file, by its name."""
    found = {}
    for name, content in contents.items():
        try:
            read(content, catalog=catalog)
        except DecisionsFaulty as error:
            found[f"{quoted(name)} cannot be used"] = str(error).splitlines()
    return found


def _refused(desk: review.Desk, faults: dict[str, list[str]]) -> Response:
    return desk.visit.render("catalog/sheet.html", status=422, desk=desk, faults=faults)
