"""A bucket as a store, through obstore: one object per name, written only where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore, from_url

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}


class Bucket:
    """A bucket, or a folder in one; also what obstore keeps in memory."""

    is_remote = True

    def __init__(self, backend: ObjectStore, *, place: str) -> None:
        """Wrap what obstore has opened."""
        self._backend = backend
        self.place = place

    @contextmanager
    def opened(self) -> Iterator["Bucket"]:
        """Yield itself: each call is a request of its own."""
        yield self

    def read(self, name: str) -> bytes:
        """All bytes of an object; raises FileNotFoundError."""
        return bytes(obstore.get(self._backend, name).bytes())

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, in parts; raises FileNotFoundError."""
        for chunk in obstore.get(self._backend, name).stream():
            yield bytes(chunk)

    def size(self, name: str) -> int:
        """The size of an object in bytes; raises FileNotFoundError."""
        return int(obstore.head(self._backend, name)["size"])

    def create(self, name: str, source: Path | bytes, content_type: str) -> bool:
        """Store an object; False when the service says that there is one, or that another write is under way.

        obstore tells S3's 412 (there is one) and 409 (another conditional write is under way) apart for no one.
        """
        try:
            self._put(name, source, content_type, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def replace(self, name: str, source: Path | bytes, content_type: str) -> None:
        """Store an object in the place of another."""
        self._put(name, source, content_type, mode="overwrite")

    def remove(self, name: str) -> bool:
        """Remove an object; False when there is none. A bucket with versions keeps the one before."""
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        obstore.delete(self._backend, name)
        return True

    def check_room(self) -> None:
        """Do nothing: a bucket is never full."""

    def sweep(self) -> None:
        """Do nothing: a bucket keeps nothing half written."""

    def make(self) -> None:
        """Do nothing: a bucket is made by its owner."""

    def location(self, name: str) -> str:
        """The URL of an object."""
        return f"{self.place}/{quote(name)}"

    def _put(self, name: str, source: Path | bytes, content_type: str, *, mode: Literal["create", "overwrite"]) -> None:
        content = source if isinstance(source, bytes) else source.read_bytes()
        attributes = {"Content-Type": content_type}
        obstore.put(self._backend, name, content, mode=mode, attributes=attributes, use_multipart=False)


def at(url: str) -> Bucket:
    """The bucket that a URL names; credentials come from the environment that its vendor documents."""
    # No client_options: they would take the place of those in the environment, such as AWS_ALLOW_HTTP.
    return Bucket(from_url(url, retry_config=_RETRIES), place=url.rstrip("/"))
