"""Errors of stores, and the folder for files on their way to one."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from worker.core.rules.errors import DarkroomError


class StoreUnavailable(DarkroomError):
    """The store failed; the same call may be retried later."""

    error_code = "store_unavailable"
    hint = "check DARKROOM_STORE, or run `darkroom doctor`"

    def __init__(self, place: str, reason: str) -> None:
        """Keep where and why."""
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return f"the store {self.place} failed: {self.reason}"


class SpoolUnavailable(StoreUnavailable):
    """The folder for temporary files could not be written or read."""

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"the folder for temporary files {self.place} failed: {self.reason};"
            " free space there, or set DARKROOM_SPOOL to another folder"
        )


class WrongStore(StoreUnavailable):
    """What is at the store's place is not the store that the database knows, or may not be."""

    def __str__(self) -> str:
        """Return the message."""
        return f"what is at {self.place} is not the expected store: {self.reason}"


class NotStored(DarkroomError):
    """The store has nothing under this name."""

    error_code = "store_object_missing"
    hint = "check DARKROOM_STORE, or run `darkroom doctor`"

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the message."""
        return f"nothing is stored as {self.path}"


class Conflicting(Exception):
    """The store has other bytes under this name, which are never overwritten."""

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the message."""
        return f"other bytes are stored as {self.path}"


_PREFIX = "darkroom-spool-"
_ABANDONED_AFTER_S = 3600.0
"""Nothing is needed for so long; its process is gone."""
SWEPT_EVERY_S = 3600.0
"""How often what killed processes have left is looked for while this one runs."""


class _MadeWhenFull(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file whose folder need not exist while the file is small."""

    def __init__(self, *, dir: Path | None, **options: Any) -> None:  # noqa: A002 - as the base names it
        self._folder = dir
        super().__init__(dir=None if dir is None else str(dir), **options)

    def rollover(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        super().rollover()


class SpoolFolder:
    """A folder for temporary files, which is made when it is first needed."""

    def __init__(self, path: Path | None = None) -> None:
        """Touch nothing; by default the system's own folder for temporary files is used."""
        self._path = path
        self._sweep_at = time.monotonic() + SWEPT_EVERY_S

    @property
    def path(self) -> Path:
        """Where it is; OSError when the system has no folder for temporary files."""
        return self._path or Path(tempfile.gettempdir())

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder, gone after the block; every OSError inside is taken for one of the local disk."""
        if time.monotonic() >= self._sweep_at:
            # Every node has a folder of its own, so maintenance, which one node does for all, cannot do this.
            self.sweep()
        with self.translated():
            self.path.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.path))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def file(self, *, in_memory_bytes: int) -> IO[bytes]:
        """Open a nameless file that is kept in memory while it is small; it is gone when it is closed."""
        return _MadeWhenFull(max_size=in_memory_bytes, mode="w+b", dir=self._path)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise SpoolUnavailable in the place of OSError."""
        try:
            yield
        except OSError as error:
            raise SpoolUnavailable(str(self._path or "(TMPDIR)"), error.strerror or type(error).__name__) from error

    def sweep(self) -> None:
        """Remove what killed processes have left."""
        self._sweep_at = time.monotonic() + SWEPT_EVERY_S
        with self.scratch() as now:
            newest = now.stat().st_mtime
            for entry in self.path.glob(f"{_PREFIX}*"):
                with suppress(OSError):
                    if entry.is_dir() and newest - entry.stat().st_mtime > _ABANDONED_AFTER_S:
                        shutil.rmtree(entry, ignore_errors=True)
