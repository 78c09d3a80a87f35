"""Options that `darkroom sheet` and `darkroom catalog sheet` share: where a sheet and its full-size images go."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.contact_sheet.originals import Originals
    from worker.storage.store import Store

Full = Annotated[
    bool, typer.Option("--full", help="Copy the full-size images into a folder beside the page, for the links.")
]
Archive = Annotated[
    Path | None, typer.Option("--zip", metavar="FILE", help="Pack page and full-size images into one zip file.")
]


def check(*, to: Path | None, full: bool, archive: Path | None) -> None:
    """Raise CliError for options that exclude each other."""
    from worker.cli.errors import MISUSED, CliError

    if archive is not None and (to is not None or full):
        raise CliError("--zip names the file and holds the full-size images: leave --output and --full out", MISUSED)


@contextmanager
def written(store: "Store", place: Path, *, full: bool, is_archive: bool) -> "Iterator[tuple[Path, Originals]]":
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
            f"{place} cannot be written: {error.strerror or error}; name another place with {name}"
        ) from error
