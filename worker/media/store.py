"""Where images are kept: a folder or a bucket, written once under a name and never half."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

BUCKET_SCHEMES = ("s3", "gs", "az")


class StoreUnavailable(Exception):
    """The store could not do what was asked; the same call may be made again later."""

    def __init__(self, place: str, reason: str) -> None:
        """Keep where and why."""
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"the store {self.place} failed: {self.reason}"


class NotStored(Exception):
    """The store has nothing under this name."""

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"nothing is stored as {self.path}"


class Store:
    """A folder or bucket, below which names are relative paths with ``/``."""

    def __init__(self, backend: ObjectStore, *, place: str, folder: Path | None = None) -> None:
        """Wrap an opened backend, with its ``folder`` if it is one; ``open_store`` is the usual way."""
        self._backend = backend
        self._place = place
        self._folder = folder

    def __repr__(self) -> str:
        return f"Store({self._place!r})"

    def put_new(self, path: str, source: Path | bytes, *, content_type: str) -> bool:
        """True when ``path`` is now stored whole; False, and nothing changed, when it was there already.

        After a False the caller compares: a write whose confirmation was lost also ends there.
        """
        name = _checked(path)
        content = source if isinstance(source, bytes) else source.read_bytes()
        attributes = None if self._folder else {"Content-Type": content_type}
        try:
            with self._translated(path):
                obstore.put(self._backend, name, content, mode="create", attributes=attributes, use_multipart=False)
                self._make_durable(name)
        except AlreadyExistsError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """All bytes of ``path``; raises NotStored."""
        with self._translated(path):
            return bytes(obstore.get(self._backend, _checked(path)).bytes())

    def download_to(self, path: str, target: Path) -> None:
        """``target`` holds the bytes of ``path``; raises NotStored."""
        target.write_bytes(self.read(path))

    def size(self, path: str) -> int:
        """The size of ``path`` in bytes; raises NotStored."""
        with self._translated(path):
            return int(obstore.head(self._backend, _checked(path))["size"])

    def exists(self, path: str) -> bool:
        """True when something is stored as ``path``."""
        try:
            self.size(path)
        except NotStored:
            return False
        return True

    def location(self, path: str) -> str:
        """Where a person finds ``path``: an absolute file path, or a URL."""
        name = _checked(path)
        return str(self._folder / name) if self._folder else f"{self._place}/{quote(name)}"

    def check(self) -> None:
        """A probe was written, read back and deleted; raises StoreUnavailable when any of it failed."""
        path, content = f".darkroom-probe-{secrets.token_hex(8)}", b"probe"
        self.put_new(path, content, content_type="application/octet-stream")
        if self.read(path) != content:
            raise StoreUnavailable(self._place, "a probe came back with other bytes")
        with self._translated(path):
            obstore.delete(self._backend, path)

    def _make_durable(self, name: str) -> None:
        # The name is committed to the database next; a power cut must not leave it there without its bytes.
        if self._folder is not None:
            stored = self._folder / name
            _sync(stored)
            for folder in stored.parents[: len(Path(name).parts)]:
                _sync(folder)

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except AlreadyExistsError:
            raise
        except FileNotFoundError:
            raise NotStored(path) from None
        except (BaseError, OSError) as error:
            raise StoreUnavailable(self._place, _first_line(error)) from error


def open_store(url_or_path: str | Path) -> Store:
    """The store that a setting names: a folder, which is made, or an s3://, gs:// or az:// URL.

    Credentials of a bucket come from the environment that its vendor documents. Raises ValueError for another
    kind of URL, StoreUnavailable when the folder cannot be made.
    """
    text = str(url_or_path)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme in BUCKET_SCHEMES:
        return _open_bucket(text)
    if scheme == "memory":
        return Store(MemoryStore(), place="memory://")
    if scheme == "file":
        return _open_folder(Path(unquote(urlsplit(text).path)))
    if scheme:
        raise ValueError(
            f"a store cannot be at {scheme}://: "
            "set DARKROOM_STORE to a folder or to a file://, s3://, gs:// or az:// URL"
        )
    return _open_folder(Path(text))


def _open_bucket(url: str) -> Store:
    if not urlsplit(url).netloc:
        raise ValueError(f"{url} names no bucket: set DARKROOM_STORE to something like s3://bucket/folder")
    try:
        # No client_options: they would take the place of those in the environment, such as AWS_ALLOW_HTTP.
        backend = from_url(url, retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)})
    except (BaseError, ValueError) as error:
        raise StoreUnavailable(url, _first_line(error)) from error
    return Store(backend, place=url.rstrip("/"))


def _open_folder(folder: Path) -> Store:
    place = folder.expanduser().absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
        return Store(LocalStore(place), place=str(place), folder=place)
    except (BaseError, OSError, ValueError) as error:
        raise StoreUnavailable(str(place), _first_line(error)) from error


def _checked(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{path!r} is not a name below the store")
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a directory and say so with EINVAL.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
