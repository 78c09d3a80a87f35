"""A folder as a store: every use opens the folder anew, and touches nothing but what it has opened.

All paths are relative to the opened folder, so that what is written while its file system is taken away fails, or lies
on that file system: it never falls into the folder on which the file system was mounted.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

LEAST_FREE_BYTES = 16_000_000
"""With less room than this an image of the largest usual size may not fit."""

_UNFINISHED = ".darkroom-writing-"
_ABANDONED_AFTER_S = 3600.0
"""No write takes so long; its process is gone."""
_CHUNK_BYTES = 1 << 20


class Opened:
    """The folder while it is used once; ``descriptor`` is None when there is no such folder."""

    def __init__(self, descriptor: int | None) -> None:
        """Keep the descriptor; the one who opened it closes it."""
        self._descriptor = descriptor

    def read(self, name: str) -> bytes:
        """All bytes of a file; raises FileNotFoundError."""
        with self._file(name) as file:
            return file.read()

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, in parts; raises FileNotFoundError."""
        with self._file(name) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def size(self, name: str) -> int:
        """The size of a file in bytes; raises FileNotFoundError."""
        found = os.stat(name, dir_fd=self._root)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found.st_size

    def create(self, name: str, source: Path | bytes, _content_type: str) -> bool:
        """Store a whole file that survives a power cut; False, and nothing changed, when the name is taken."""
        *folders, leaf = name.split("/")
        with self._written(source) as unfinished, self._folders(folders) as descriptors:
            try:
                # A link, unlike a rename, never replaces what is there.
                os.link(unfinished, leaf, src_dir_fd=self._root, dst_dir_fd=descriptors[-1])
            except FileExistsError:
                return False
            for descriptor in reversed(descriptors):
                _sync_folder(descriptor)
        return True

    def replace(self, name: str, source: Path | bytes, _content_type: str) -> None:
        """Store a whole file in the place of another."""
        *folders, leaf = name.split("/")
        with self._written(source) as unfinished, self._folders(folders) as descriptors:
            os.replace(unfinished, leaf, src_dir_fd=self._root, dst_dir_fd=descriptors[-1])
            _sync_folder(descriptors[-1])

    def remove(self, name: str) -> bool:
        """Remove a file, so that a power cut does not bring it back; False when there is none."""
        folder, _, _ = name.rpartition("/")
        try:
            os.unlink(name, dir_fd=self._root)
        except FileNotFoundError:
            return False
        descriptor = _open_folder(folder or ".", self._root)
        try:
            _sync_folder(descriptor)
        finally:
            os.close(descriptor)
        return True

    def check_room(self) -> None:
        """Raise OSError when hardly anything fits any more."""
        found = os.fstatvfs(self._root)
        # Some file systems that cannot tell say that they have no blocks at all.
        if found.f_blocks and found.f_bavail * found.f_frsize < LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, f"only {found.f_bavail * found.f_frsize:,} bytes are free")

    def sweep(self) -> None:
        """Remove what killed processes have left half written."""
        with self._written(b"") as now:
            newest = os.stat(now, dir_fd=self._root).st_mtime
            # pathlib knows no descriptors.
            for name in os.listdir(self._root):  # noqa: PTH208
                with suppress(FileNotFoundError):
                    if name.startswith(_UNFINISHED) and self._age_s(name, newest) > _ABANDONED_AFTER_S:
                        os.unlink(name, dir_fd=self._root)

    def _age_s(self, name: str, newest: float) -> float:
        return newest - os.stat(name, dir_fd=self._root).st_mtime

    @property
    def _root(self) -> int:
        if self._descriptor is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._descriptor

    def _file(self, name: str) -> IO[bytes]:
        return os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root), "rb")

    @contextmanager
    def _written(self, source: Path | bytes) -> Iterator[str]:
        name = f"{_UNFINISHED}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(name, flags, 0o666, dir_fd=self._root), "wb") as file:
                with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
                    shutil.copyfileobj(content, file, _CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            yield name
        finally:
            with suppress(OSError):
                os.unlink(name, dir_fd=self._root)

    @contextmanager
    def _folders(self, names: Sequence[str]) -> Iterator[list[int]]:
        """The opened folders down to the last of these, which are made."""
        opened = [os.dup(self._root)]
        try:
            for name in names:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=opened[-1])
                opened.append(_open_folder(name, opened[-1]))
            yield opened
        finally:
            for descriptor in opened:
                os.close(descriptor)


class Folder:
    """A folder of this machine's, which need not exist yet."""

    is_remote = False

    def __init__(self, path: Path) -> None:
        """Touch nothing."""
        self.path = path

    @property
    def place(self) -> str:
        """Its name for people."""
        return str(self.path)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Open it for one use; OSError when it is there and cannot be opened."""
        try:
            descriptor = _open_folder(str(self.path))
        except FileNotFoundError:
            yield Opened(None)
            return
        try:
            yield Opened(descriptor)
        finally:
            os.close(descriptor)

    def make(self) -> None:
        """Make the folder and those above it."""
        self.path.mkdir(parents=True, exist_ok=True)

    def location(self, name: str) -> str:
        """The absolute path of a file."""
        return str(self.path / name)


def _open_folder(name: str, parent: int | None = None) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync a directory and say so with EINVAL.
        if error.errno != errno.EINVAL:
            raise
