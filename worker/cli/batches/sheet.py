"""`darkroom sheet`, `open`: a batch as a contact sheet, with full-size images on request."""

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.contact_sheet.originals import Originals
    from worker.storage.store import Store
Full = Annotated[
    bool, typer.Option("--full", help="Copy the full-size images into a folder beside the page, for the links.")
]
Archive = Annotated[
    Path | None, typer.Option("--zip", metavar="FILE", help="Pack page and full-size images into one zip file.")
]


def check_options(*, to: Path | None, full: bool, archive: Path | None) -> None:
    """Raise CliError for options that exclude each other."""
    from worker.cli.errors import MISUSED, CliError

    if archive is not None and (to is not None or full):
        raise CliError("--zip names the file and holds the full-size images: leave --output and --full out", MISUSED)


@contextmanager
def place_for(store: "Store", place: Path, *, full: bool, is_archive: bool) -> "Iterator[tuple[Path, Originals]]":
    """Yield where to write the page, and its images; raise CliError when the place cannot be written."""
    from worker.cli.errors import CliError
    from worker.contact_sheet import originals

    try:
        if is_archive:
            with originals.packed(store, place) as (page, images):
                yield page, images
        elif full:
            with originals.beside(store, place) as images:
                yield place, images
        else:
            yield place, originals.InStore(store, place)
    except OSError as error:
        name = "--zip" if is_archive else "-o"
        raise CliError(
            f"{place} cannot be written: {error.strerror or error}; choose another path with {name}"
        ) from error


def sheet(
    batch: output.BatchName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-ID.html here]")
    ] = None,
    per_page: Annotated[
        int, typer.Option(min=1, help="Images on a page; further pages lie beside the file as NAME-2.html ...")
    ] = 500,
    full: Full = False,
    archive: Archive = None,
    as_json: output.AsJson = False,
) -> None:
    """Write a contact sheet: a self-contained HTML page with every image, prompt, state and credit."""
    from worker import wiring
    from worker.cli import lookup
    from worker.cli.batches import sheet_files
    from worker.cli.context import resolve

    check_options(to=to, full=full, archive=archive)
    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    place = archive or to or Path(file_name(row.name, str(row.id)))
    store = wiring.store(context.settings, database)
    found = lookup.overview_of(database, row)
    with place_for(store, place, full=full, is_archive=archive is not None) as (page, originals):
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


def open_(batch: output.BatchName, as_json: output.AsJson = False) -> None:
    """Write a batch's contact sheet into the home and open it in the browser."""
    from worker import wiring
    from worker.cli import lookup
    from worker.cli.batches import sheet_files
    from worker.cli.context import resolve

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    place: Path = context.home / "sheets" / file_name(row.name, str(row.id))
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet_files.write(context, database, lookup.overview_of(database, row), place)
    is_shown = webbrowser.open(place.as_uri())
    if as_json:
        output.print_json({"batch": str(row.id), "file": str(place), "opened": is_shown})
        return
    output.answers().print(str(place), markup=False, soft_wrap=True)
    if not is_shown:
        output.notes().print("No browser was found; open the file above yourself.")
