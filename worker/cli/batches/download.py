"""`darkroom download`: copy a batch's images into a folder, each under its key."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.batches.queries.results import Outcome
    from worker.core.db.session import Database
    from worker.storage.store import Store

_TOLD_EVERY = 25


@dataclass(kw_only=True)
class Counts:
    """How many images were copied, were there already, and could not be copied."""

    copied: int = 0
    present: int = 0
    missing: int = 0

    def __str__(self) -> str:
        """Return all three."""
        missing = f", {self.missing:,} missing" if self.missing else ""
        return f"{self.copied:,} copied, {self.present:,} there already{missing}"


def download(
    batch: output.BatchName,
    to: Annotated[Path, typer.Option("--to", help="The folder; created if it does not exist.")],
    as_json: output.AsJson = False,
) -> None:
    """Copy a batch's images into a folder, each named by its key; running it again copies what is new.

    Exit status 1 if an image is missing from the store.
    """
    from worker import wiring
    from worker.cli import lookup, signing
    from worker.cli.context import resolve

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    signing.record_export(database, f"batch:{row.id}", "images")
    to.mkdir(parents=True, exist_ok=True)
    counts, store = Counts(), wiring.store(context.settings, database)
    console = output.notes()
    with console.status("copying ...") if console.is_terminal else nullcontext() as spinner:
        for each in _with_image(database, store, row.id):
            _copy(each, store, to, counts)
            done = counts.copied + counts.present + counts.missing
            if spinner is not None and done % _TOLD_EVERY == 0:
                spinner.update(f"{done:,} of {row.size:,}: {counts}")
    if as_json:
        output.print_json({"batch": str(row.id), "folder": str(to.absolute()), **vars(counts)})
    else:
        output.answers().print(f"{to.absolute()}: {counts}", markup=False, soft_wrap=True)
    if counts.missing:
        raise typer.Exit(1)


def _with_image(database: "Database", store: "Store", batch_id: UUID) -> "Iterator[Outcome]":
    from worker.archive.reading import ArchiveReader
    from worker.batches.queries import results

    archive = ArchiveReader(lambda: store)
    return (each for each in results.outcomes(database, batch_id, archive) if each.result is not None)


def _copy(found: "Outcome", store: "Store", folder: Path, counts: Counts) -> None:
    from worker.storage import names
    from worker.storage.store import NotStored

    assert found.result is not None
    place = folder / names.image_name(found.key, found.result.mime_type)
    if _has(place, found.result.sha256):
        counts.present += 1
        return
    try:
        content = store.read(found.result.path)
    except NotStored:
        why = (
            f"it was put into another store ({found.result.store_id}): mount that one, or copy the image"
            if found.is_stored_elsewhere
            else "the store has no such image"
        )
        output.notes().print(f"line {found.line}, {found.key}: {why}", markup=False, soft_wrap=True)
        counts.missing += 1
        return
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(place)
    counts.copied += 1


def _has(place: Path, sha256: str) -> bool:
    """Return whether the file is there with these bytes."""
    try:
        return hashlib.sha256(place.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
