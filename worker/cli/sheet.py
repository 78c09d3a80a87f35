"""`darkroom sheet`: a batch on one page."""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli import output


def sheet(
    batch: output.BatchName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-ID.html here]")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Write a contact sheet: one HTML file with every image, prompt, state and credit."""
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
        sheets.write(context, database, lookup.look(database, row), place)
    except OSError as error:
        raise CliError(f"{place} cannot be written: {error.strerror or error}; name another place with -o") from error
    if as_json:
        output.print_json({"batch": str(row.id), "file": str(place.absolute())})
    else:
        output.answers().print(f"{place.absolute()}", markup=False, soft_wrap=True)


def file_name(name: str, batch_id: str) -> str:
    """Give a file name that tells batches apart: the end of an id differs where its beginning is the time."""
    plain = "".join(char if char.isalnum() or char in "-_" else "-" for char in name)[:60].strip("-")
    return f"{plain or 'batch'}-{batch_id[-8:]}.html"
