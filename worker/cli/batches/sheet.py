"""`darkroom sheet`: a batch on one page, or on as many as it takes."""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli import output
from worker.cli.batches import sheet_options


def sheet(
    batch: output.BatchName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-ID.html here]")
    ] = None,
    per_page: Annotated[
        int, typer.Option(min=1, help="Images on a page; further pages lie beside the file as NAME-2.html ...")
    ] = 500,
    full: sheet_options.Full = False,
    archive: sheet_options.Archive = None,
    as_json: output.AsJson = False,
) -> None:
    """Write a contact sheet: a self-contained HTML page with every image, prompt, state and credit."""
    from worker import wiring
    from worker.cli import lookup
    from worker.cli.batches import sheet_files
    from worker.cli.context import resolve

    sheet_options.check(to=to, full=full, archive=archive)
    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    place = archive or to or Path(file_name(row.name, str(row.id)))
    store = wiring.store(context.settings, database)
    found = lookup.look(database, row)
    with sheet_options.written(store, place, full=full, is_archive=archive is not None) as (page, originals):
        pages = sheet_files.write(context, database, found, page, per_page=per_page, originals=originals)
    files = [str(place.absolute())] if archive else [str(each.absolute()) for each in pages]
    if as_json:
        output.print_json({"batch": str(row.id), "file": files[0], "pages": files})
    else:
        output.answers().print(files[0], markup=False, soft_wrap=True)
    if len(pages) > 1:
        where = "in the archive" if archive else "beside it"
        output.notes().print(f"{output.plural(len(pages), 'page')}: the others lie {where}.", markup=False)


def file_name(name: str, batch_id: str) -> str:
    """Return a file name that tells batches apart: the end of an id differs where its beginning is the time."""
    plain = "".join(char if char.isalnum() or char in "-_" else "-" for char in name)[:60].strip("-")
    return f"{plain or 'batch'}-{batch_id[-8:]}.html"
