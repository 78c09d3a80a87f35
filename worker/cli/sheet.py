"""`darkroom sheet`: a batch on one page, or on as many as it takes."""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli import output


def sheet(
    batch: output.BatchName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-ID.html here]")
    ] = None,
    per_page: Annotated[
        int, typer.Option(min=1, help="Images on a page; further pages lie beside the file as NAME-2.html ...")
    ] = 500,
    as_json: output.AsJson = False,
) -> None:
    """Write a contact sheet: a self-contained HTML page with every image, prompt, state and credit."""
    from worker import wiring
    from worker.cli import lookup, sheets
    from worker.cli.context import resolve
    from worker.cli.errors import CliError

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    place = to or Path(file_name(row.name, str(row.id)))
    try:
        pages = sheets.write(context, database, lookup.look(database, row), place, per_page=per_page)
    except OSError as error:
        raise CliError(f"{place} cannot be written: {error.strerror or error}; name another place with -o") from error
    if as_json:
        files = [str(page.absolute()) for page in pages]
        output.print_json({"batch": str(row.id), "file": files[0], "pages": files})
    else:
        output.answers().print(f"{place.absolute()}", markup=False, soft_wrap=True)
    if len(pages) > 1:
        output.notes().print(f"{output.plural(len(pages), 'page')}: the others lie beside it.", markup=False)


def file_name(name: str, batch_id: str) -> str:
    """Return a file name that tells batches apart: the end of an id differs where its beginning is the time."""
    plain = "".join(char if char.isalnum() or char in "-_" else "-" for char in name)[:60].strip("-")
    return f"{plain or 'batch'}-{batch_id[-8:]}.html"
