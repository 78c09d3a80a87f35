"""Full-size images of a sheet: linked in the store, copied beside the page, or packed with it into one zip file."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile, TemporaryDirectory, mkdtemp
from threading import Lock
from typing import Protocol
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from worker.core.output_files import file_mode, folder_mode
from worker.storage.store import NotStored, Store

_MARK = ".darkroom-images"
"""The file by which a folder of copies is told from any other folder; it holds the page's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """A full-size image as a page shows it."""

    href: str
    """A path relative to the page, or an address."""
    read: Callable[[], bytes | None]
    """Return its bytes, or None when the store has lost it; may be called in any thread, once."""


class Originals(Protocol):
    """Where the links of a page lead."""

    def image(self, path: str) -> Original:
        """Return the image with that path in the store."""
        ...


class InStore:
    """Links lead to the store, so that nothing is copied."""

    def __init__(self, store: Store, page: Path) -> None:
        """Link from a page that will be at ``page``."""
        self._store = store
        self._folder = page.absolute().parent

    def image(self, path: str) -> Original:
        """Return the image, by the shortest way from the page, so that both can be moved together."""
        location = self._store.location(path)
        href = location if "://" in location else quote(os.path.relpath(location, self._folder))
        return Original(href=href, read=partial(_content, self._store, path))


class Copied:
    """Links lead to copies, which are written while the page is, one image at a time."""

    def __init__(self, store: Store, folder: str, write: Callable[[str, bytes], None]) -> None:
        """Copy under ``folder`` beside the page; ``write`` is called with a file name there and the bytes."""
        self._store = store
        self._folder = folder
        self._write = write
        self._numbers = count(1)
        self._lock = Lock()

    def image(self, path: str) -> Original:
        """Return the image under a new name; it is copied when it is read."""
        name = f"{next(self._numbers):05}-{PurePosixPath(path).name}"
        return Original(href=quote(f"{self._folder}/{name}"), read=partial(self._copy, path, name))

    def _copy(self, path: str, name: str) -> bytes | None:
        content = _content(self._store, path)
        if content is not None:
            with self._lock:  # Images are read in several threads, and a zip file is written by one at a time.
                self._write(name, content)
        return content


@contextmanager
def beside(store: Store, page: Path) -> Iterator[Originals]:
    """Copy the images into a new folder beside the page; that of an older sheet goes when the new one is complete.

    The folder has a new name each time, so that an older page keeps its images until it is replaced.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    before = _folders_of(page)
    folder = Path(mkdtemp(prefix=_prefix(page), dir=page.parent))
    try:
        folder.chmod(folder_mode())
        (folder / _MARK).write_text(page.name, encoding="utf-8")
        yield Copied(store, folder.name, lambda name, content: _write_file(folder / name, content))
    except BaseException:
        shutil.rmtree(folder)
        raise
    for each in before:
        shutil.rmtree(each)


@contextmanager
def packed(store: Store, archive: Path) -> Iterator[tuple[Path, Originals]]:
    """Yield where to write the page, and its images; page and images become the zip file, whole or not at all.

    Everything in it lies in one folder of the archive's name. Images go straight into the archive.
    """
    stem = archive.stem
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=f".{stem[:100]}.", suffix=".part", dir=archive.parent) as pages,
        NamedTemporaryFile(prefix=f".{stem[:100]}.", suffix=".part", dir=archive.parent, delete=False) as file,
    ):
        part = Path(file.name)
        try:
            with ZipFile(file, "w") as zipped:
                # An image is compressed already.
                copied = Copied(
                    store,
                    "images",
                    lambda name, content: zipped.writestr(f"{stem}/images/{name}", content, ZIP_STORED),
                )
                yield Path(pages) / f"{stem}.html", copied
                for page in sorted(Path(pages).iterdir()):
                    zipped.write(page, f"{stem}/{page.name}", ZIP_DEFLATED)
            file.close()
            part.chmod(file_mode())
            part.replace(archive)
        finally:
            part.unlink(missing_ok=True)


def _folders_of(page: Path) -> Sequence[Path]:
    """Return the folders of copies that an earlier sheet of this name has left."""
    return [
        each.parent
        for each in page.parent.glob(f"*/{_MARK}")
        if each.parent.name.startswith(_prefix(page)) and each.read_text(encoding="utf-8") == page.name
    ]


def _prefix(page: Path) -> str:
    return f"{page.stem}-images-"


def _write_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _content(store: Store, path: str) -> bytes | None:
    try:
        return store.read(path)
    except NotStored:
        return None
