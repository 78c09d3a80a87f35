"""The folder for files that are needed for a moment: its faults are those of a store, which wait and end no job."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from worker.storage.store_errors import SpoolUnavailable

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
            # Every node has a folder of its own, so upkeep, which one node does for all, cannot do this.
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
