"""Read archived rows back from the store, so that unchanged statements find them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from psycopg.errors import DatabaseError
from sqlalchemy import Connection

from worker.archive import parquet
from worker.archive.parquet import NotParquet, Only
from worker.archive.queries import archived, views
from worker.archive.rules.tables import BY_NAME, TABLES, ArchivedFile, Column
from worker.core.rules.errors import DarkroomError
from worker.storage.store import NotStored, Store

NEXT_STEP = "restore it from a copy of the store: the seals of the books prove whether it is the one that was written"
MISSING = "is missing"
AGAIN = "run the command again: an erasure may just have replaced it. If it stays missing, "
GARBAGE = "has what the table does not take"


def next_step(what: str) -> str:
    """Return what to do about a file of which this is wrong."""
    return f"{AGAIN}{NEXT_STEP}" if what == MISSING else NEXT_STEP


class ArchiveDamaged(DarkroomError):
    """A file of the archive is missing, or is not as it was written."""

    error_code = "archive_damaged"

    def __init__(self, path: str, what: str) -> None:
        """Keep the file and what is wrong with it."""
        super().__init__(path, what)
        self.path, self.what = path, what

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"the archive's file {self.path} {self.what}: {next_step(self.what)}"


class ArchiveReader:
    """Reads archived batches from one store, which is opened with the first file that is read."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        """Touch nothing."""
        self._open_store = open_store

    @cached_property
    def _store(self) -> Store:
        return self._open_store()

    def load(self, tx: Connection, batch_ids: Sequence[UUID]) -> None:
        """Make the rows of these batches visible to the transaction's statements; raises ArchiveDamaged."""
        faults = self.prove(tx, batch_ids)
        if faults:
            raise ArchiveDamaged(faults[0]["file"], faults[0]["what"])

    def prove(self, tx: Connection, batch_ids: Sequence[UUID]) -> list[Mapping[str, Any]]:
        """Load the files that are intact, and return what is wrong with the others."""
        for table in TABLES:
            views.make(tx, table)
        faults = [fault for file in archived.files(tx, batch_ids) for fault in self._fill(tx, file)]
        if archived.unremoved(tx):
            for table in TABLES:
                views.forget_live(tx, table)
        views.show(tx)
        return faults

    def find_job(self, files: Sequence[ArchivedFile], name: str) -> UUID | None:
        """Return the job whose generation has this id, key or provider's id, from the files of generations."""
        wanted = name.removeprefix("darkroom-")
        for file in files:
            try:
                names, found = self.read(file)
                at = {each.name: number for number, each in enumerate(names)}
                for row in found:
                    if name == row[at["provider_id"]] or wanted == str(row[at["id"]]):
                        job_id: UUID = row[at["job_id"]]
                        return job_id
            except NotParquet:
                raise ArchiveDamaged(file.path, GARBAGE) from None
        return None

    def _fill(self, tx: Connection, file: ArchivedFile) -> list[Mapping[str, Any]]:
        try:
            names, found = self.read(file)
            # Rows that the table does not take must not end the transaction, in which other files are read.
            with tx.begin_nested():
                views.fill(tx, BY_NAME[file.name], names, found)
        except ArchiveDamaged as error:
            what = error.what
        except (NotParquet, DatabaseError):
            what = GARBAGE
        else:
            return []
        return [{"file": file.path, "batch": file.batch_id, "what": what, "next_step": next_step(what)}]

    def read(self, file: ArchivedFile, only: Only | None = None) -> tuple[tuple[Column, ...], Any]:
        """Return the columns of a file and its rows, which raise NotParquet; raises ArchiveDamaged."""
        try:
            content = self._store.read(file.path)
        except NotStored:
            raise ArchiveDamaged(file.path, MISSING) from None
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ArchiveDamaged(file.path, "is not as it was written")
        try:
            return parquet.decode(content, only)
        except NotParquet:
            raise ArchiveDamaged(file.path, GARBAGE) from None
