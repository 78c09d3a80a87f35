"""Where images are kept: a folder or a bucket, written once under a name and never half.

A store carries an identity, a small file with a random id. Each use of a folder looks at it, as does each use of a
bucket a minute after the last look: what is at the store's place without it, such as the folder under a share that is
not mounted, is never read or written.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import UUID

from obstore.exceptions import BaseError
from obstore.store import MemoryStore

from worker.core import tracing
from worker.core.rules.errors import first_line
from worker.storage import bucket, names
from worker.storage.bucket import Bucket
from worker.storage.folder import Folder, Opened
from worker.storage.names import MARKER, MarkerFaulty
from worker.storage.spool import (
    SWEPT_EVERY_S,
    Conflicting,
    NotStored,
    SpoolFolder,
    SpoolUnavailable,
    StoreUnavailable,
    WrongStore,
)

__all__ = [
    "Conflicting",
    "NotStored",
    "Put",
    "SpoolUnavailable",
    "Store",
    "StoreUnavailable",
    "WrongStore",
    "open_store",
]

_CHUNK_BYTES = 1 << 20


def digest(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Return the size in bytes and the lower-case hex SHA-256."""
    size, found = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        found.update(chunk)
    return size, found.hexdigest()


def is_same(source: Path | bytes, size_bytes: int, chunks: Callable[[], Iterable[bytes]]) -> bool:
    """Return whether bytes of this size, which come in parts, are those of the source."""
    own_size = len(source) if isinstance(source, bytes) else source.stat().st_size
    return own_size == size_bytes and digest(chunks()) == digest(_chunks_of(source))


def _chunks_of(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


T = TypeVar("T")

BUCKET_SCHEMES = ("s3", "gs", "az")

_PROBE = ".darkroom-probe"
_PROBED = b"Darkroom writes this to see whether it can.\n"
_LOOK_AT_BUCKET_EVERY_S = 60.0
_CONFLICT_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""S3 answers a conditional write with 409 while another to the same name is under way."""


class Put(Enum):
    """How the bytes came to be stored under the name."""

    WRITTEN = auto()
    """They were written."""
    ALREADY_THERE = auto()
    """The same bytes were there: another writer's, or this one's whose confirmation was lost."""


class Expect(Protocol):
    """Says which identity a store must have."""

    def __call__(self, store: "Store", found: UUID | None, /) -> UUID:
        """Return it, having given the store one at its first use.

        Raises StoreUnavailable when ``found``, the identity that is there, cannot be right.
        """


class Store:
    """A folder or bucket, below which names are relative paths with ``/``."""

    def __init__(
        self,
        backend: Folder | Bucket,
        *,
        spool: SpoolFolder | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wrap what ``open_store`` opens; until it is bound it must stay the store that it was at its first use."""
        self._backend = backend
        self._expect: Expect = _first_use
        self._pause = pause
        self._known: UUID | None = None
        self._looked_at = -_LOOK_AT_BUCKET_EVERY_S
        self._sweep_at = -SWEPT_EVERY_S
        self.spool = spool or SpoolFolder()
        """Where files lie that are on their way into the store."""

    def __repr__(self) -> str:
        return f"Store({self.place!r})"

    @property
    def place(self) -> str:
        """Its location for people."""
        return self._backend.place

    @property
    def identity(self) -> UUID | None:
        """The identity that was last found to be right; None before the first use."""
        return self._known

    def bind(self, expect: Expect) -> None:
        """From now on use it only while its identity is the one that is expected."""
        self._expect, self._known = expect, None

    def ready(self) -> None:
        """Raise StoreUnavailable unless the store is there and the right one."""
        with self._opened(MARKER, is_write=True):
            return

    def put_new(self, path: str, source: Path | bytes, *, content_type: str) -> Put:
        """Store the bytes whole under a new name; raises Conflicting when other bytes have it."""
        name = _checked(path)
        for wait_s in (*_CONFLICT_WAITS_S, None):
            with self._opened(path, is_write=True) as opened:
                if opened.create(name, source, content_type):
                    return Put.WRITTEN
                with suppress(FileNotFoundError):
                    if not is_same(source, opened.size(name), lambda: opened.chunks(name)):
                        raise Conflicting(path)
                    return Put.ALREADY_THERE
            if wait_s is not None:
                self._pause(wait_s)
        raise StoreUnavailable(self.place, f"{path} is neither there nor can it be written: a conflict that lasts")

    def replace(self, path: str, source: Path | bytes, *, content_type: str) -> None:
        """Store the bytes in the place of damaged ones; only for names that are made from the bytes."""
        with self._opened(path, is_write=True) as opened:
            opened.replace(_checked(path), source, content_type)

    def remove(self, path: str) -> bool:
        """Remove what is stored as ``path``; False when nothing is. Only for what a person wants erased."""
        with self._opened(path, is_write=True) as opened:
            return opened.remove(_checked(path))

    def read(self, path: str) -> bytes:
        """All bytes of ``path``; raises NotStored."""
        return self._read(path, lambda opened: opened.read(_checked(path)))

    def size(self, path: str) -> int:
        """The size of ``path`` in bytes; raises NotStored."""
        return self._read(path, lambda opened: opened.size(_checked(path)))

    def digest(self, path: str) -> tuple[int, str]:
        """The size in bytes and the lower-case hex SHA-256 of what is stored as ``path``; raises NotStored."""
        return self._read(path, lambda opened: digest(opened.chunks(_checked(path))))

    def exists(self, path: str) -> bool:
        """True when something is stored as ``path``."""
        try:
            self.size(path)
        except NotStored:
            return False
        return True

    def location(self, path: str) -> str:
        """Where a person finds ``path``: an absolute file path, or a URL."""
        return self._backend.location(_checked(path))

    def check(self) -> None:
        """Do what workers do, under a fixed name: write, compare, read; raises StoreUnavailable when it fails."""
        try:
            self.put_new(_PROBE, _PROBED, content_type="text/plain")
            self.read(_PROBE)
        except (Conflicting, NotStored) as error:
            raise StoreUnavailable(self.place, str(error)) from error
        with self._opened(_PROBE, is_write=True) as opened:
            opened.check_room()
        with self.spool.scratch() as folder:
            (folder / "probe").write_bytes(_PROBED)

    def sweep(self) -> None:
        """Remove what killed processes have left half written, here and in the folder for temporary files."""
        self._sweep_at = time.monotonic() + SWEPT_EVERY_S
        with self._opened(MARKER, is_write=True) as opened:
            opened.sweep()
        self.spool.sweep()

    def sweep_if_due(self) -> None:
        """Sweep at most once an hour."""
        if time.monotonic() >= self._sweep_at:
            self.sweep()

    def marker(self) -> UUID | None:
        """The identity that is there now, whether or not it is right; None when there is none."""
        with self._translated(MARKER), self._backend.opened() as opened:
            return self._marker(opened)

    def initialise(self) -> UUID:
        """Return the store an identity if it has none, and return the one that it has."""
        with self._translated(MARKER):
            self._backend.make()
            with self._backend.opened() as opened:
                opened.create(MARKER, names.new(), "application/json")
        found = self.marker()
        if found is None:
            raise StoreUnavailable(self.place, f"{MARKER} was written and is not there")
        return found

    def holds(self, path: str) -> bool:
        """Whether something is stored as ``path``, whatever identity the store has."""
        with self._translated(path), self._backend.opened() as opened:
            try:
                opened.size(_checked(path))
            except FileNotFoundError:
                return False
            return True

    def _read(self, path: str, ask: Callable[[Opened | Bucket], T]) -> T:
        try:
            with self._opened(path) as opened:
                return ask(opened)
        except NotStored:
            if not self._backend.is_remote:
                raise
        # A bucket that was deleted answers like one without the object: look whether it is still the same.
        self._looked_at = -_LOOK_AT_BUCKET_EVERY_S
        with self._opened(path) as opened:
            return ask(opened)

    @contextmanager
    def _opened(self, path: str, *, is_write: bool = False) -> Iterator[Opened | Bucket]:
        """Open the store for one use if it is the right one."""
        named = {"darkroom.store.path": path}
        with (
            tracing.inside("store write" if is_write else "store read", named),
            self._translated(path, is_write=is_write),
        ):
            for is_last in (False, False, True):
                with self._backend.opened() as opened:
                    found = self._known if self._is_looked_at() else self._marker(opened)
                    if found is not None and found == self._known:
                        yield opened
                        return
                try:
                    self._known = self._expect(self, found)
                except WrongStore:
                    # Another thread or process may have given it its identity since this one looked.
                    if found is not None or is_last:
                        raise
                    continue
                self._looked_at = time.monotonic()
        raise WrongStore(self.place, "its identity changes while it is looked at")

    def _is_looked_at(self) -> bool:
        return (
            self._backend.is_remote
            and self._known is not None
            and time.monotonic() < self._looked_at + _LOOK_AT_BUCKET_EVERY_S
        )

    def _marker(self, opened: Opened | Bucket) -> UUID | None:
        try:
            return names.parse(opened.read(MARKER))
        except FileNotFoundError:
            return None
        except MarkerFaulty as faulty:
            raise WrongStore(self.place, str(faulty)) from None

    @contextmanager
    def _translated(self, path: str, *, is_write: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if is_write:
                raise StoreUnavailable(self.place, first_line(error)) from error
            raise NotStored(path) from None
        except (BaseError, OSError) as error:
            raise StoreUnavailable(self.place, first_line(error)) from error


def _first_use(store: Store, found: UUID | None) -> UUID:
    """Take the identity that is there at the first use, and no other one after it."""
    known = store.identity
    if known is None:
        return found or store.initialise()
    if found == known:  # Another thread has learned it since this one looked.
        return known
    raise WrongStore(store.place, f"it was {known}, and now it {'is ' + str(found) if found else 'has no identity'}")


def open_store(url_or_path: str | Path, *, spool: SpoolFolder | None = None) -> Store:
    """The store that a setting names: a folder, which is made at its first use, or an s3://, gs:// or az:// URL.

    Credentials of a bucket come from the environment that its vendor documents. Raises ValueError for another
    kind of URL, StoreUnavailable when a bucket cannot be opened.
    """
    text = str(url_or_path)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme in BUCKET_SCHEMES:
        return Store(_bucket(text), spool=spool)
    if scheme == "memory":
        return Store(Bucket(MemoryStore(), place="memory://"), spool=spool)
    if scheme == "file":
        text = unquote(urlsplit(text).path)
    elif scheme:
        raise ValueError(
            f"a store cannot be at {scheme}://: "
            "set DARKROOM_STORE to a folder or to a file://, s3://, gs:// or az:// URL"
        )
    return Store(Folder(Path(text).expanduser().absolute()), spool=spool)


def _bucket(url: str) -> Bucket:
    if not urlsplit(url).netloc:
        raise ValueError(f"{url} names no bucket: set DARKROOM_STORE to something like s3://bucket/folder")
    try:
        return bucket.at(url)
    except (BaseError, ValueError) as error:
        raise StoreUnavailable(url, first_line(error)) from error


def _checked(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{path!r} is not a name below the store")
    return path
