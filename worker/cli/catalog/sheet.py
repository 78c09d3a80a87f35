"""`darkroom catalog sheet`: the new images that wait, as pages to decide on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.batches import sheet as batches_sheet

if TYPE_CHECKING:
    from worker.catalog.review import Sheet

LIMIT = 200


def sheet(
    name: output.CatalogName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-review.html here]")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=2_000, help="Most images on one sheet; more make several, numbered sheets.")
    ] = LIMIT,
    full: batches_sheet.Full = False,
    archive: batches_sheet.Archive = None,
    as_json: output.AsJson = False,
) -> None:
    """Write HTML pages of the images that wait for review: old beside new, keys to accept and reject."""
    from worker import wiring
    from worker.catalog import review
    from worker.cli.catalog.review import opened

    batches_sheet.check_options(to=to, full=full, archive=archive)
    context, database, catalog = opened(name)
    place = archive or to or Path(f"{review.stem_of(name)}-review.html")
    store = wiring.store(context.settings, database)
    with batches_sheet.place_for(store, place, full=full, is_archive=archive is not None) as (page, originals):
        sheets = review.write_sheets(
            database,
            originals,
            catalog,
            page,
            per_sheet=limit,
            now=wiring.clock(),
            new_id=wiring.new_id,
            note="These images come from the sandbox: drawn, not rendered, and free." if context.is_play else "",
        )
    files = [str(place.absolute())] if archive else [str(each.path.absolute()) for each in sheets]
    if as_json:
        shown = files * len(sheets) if archive else files
        written = [{"file": file, "images": each.images} for file, each in zip(shown, sheets, strict=True)]
        count = sum(each.images for each in sheets)
        output.print_json({"catalog": name, "file": files[0], "images": count, "sheets": written})
        return
    _say(sheets, name, files)


def _say(sheets: "list[Sheet]", name: str, files: list[str]) -> None:
    for each in files:
        output.answers().print(each, markup=False, soft_wrap=True)
    count = sum(each.images for each in sheets)
    file = sheets[0].decisions_file if len(sheets) == 1 else f"{sheets[0].decisions_file.removesuffix('1.json')}*.json"
    pages = "the page" if len(sheets) == 1 else "the pages"
    output.notes().print(
        f"{output.plural(count, 'image')} to decide on. Open {pages}, decide, save, and run"
        f" `darkroom catalog decide {name} {file} --by YOU`.",
        markup=False,
    )
