"""A large body on its way to the provider: in small parts, each with the socket's own timeout, and a deadline over all.

urllib3 sends a body of bytes in one call under the timeout of connecting, which ten megabytes do not meet on an
ordinary uplink.
"""

import io
from collections.abc import Callable, Mapping

from urllib3.filepost import encode_multipart_formdata

PART_BYTES = 1 << 14


class SendTimeout(Exception):
    """The body was not sent when its time was over."""


class Sending(io.BytesIO):
    """Bytes that are read to be sent; from the first read on they must be through within ``most_s``."""

    def __init__(self, content: bytes, *, most_s: float, monotonic: Callable[[], float]) -> None:
        """Start no clock yet: connecting comes first, and has a time of its own."""
        super().__init__(content)
        self._most_s = most_s
        self._monotonic = monotonic
        self._ends_at: float | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next part, never a large one; raise SendTimeout when the time is over."""
        if self._ends_at is None:
            self._ends_at = self._monotonic() + self._most_s
        if self._monotonic() > self._ends_at:
            raise SendTimeout
        return super().read(PART_BYTES if size is None or size < 0 else min(size, PART_BYTES))


def form(fields: Mapping[str, str], *, name: str, content: bytes, mime_type: str) -> tuple[bytes, str]:
    """Return a multipart form with one file, and its Content-Type."""
    return encode_multipart_formdata({**fields, "file": (name, content, mime_type)})
