"""What is known about one upload, beside its bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One upload of one account; `type` is what its first bytes say."""

    id: str
    account: str
    kind: str
    name: str
    type: str
    size_bytes: int
    sha256: str
    created_at: float
    expires_at: float | None

    def has_expired(self, now: float) -> bool:
        """Whether it can no longer be used."""
        return self.expires_at is not None and now >= self.expires_at


class Blobs:
    """Bytes by SHA-256; the same bytes are kept once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, sha256: str, data: bytes) -> None:
        """The bytes are kept."""
        if self._folder is None:
            self._memory.setdefault(sha256, data)
        elif not (path := self._folder / sha256).exists():
            part = path.with_suffix(".part")
            part.write_bytes(data)
            part.replace(path)

    def get(self, sha256: str) -> bytes:
        """The bytes that were put."""
        return self._memory[sha256] if self._folder is None else (self._folder / sha256).read_bytes()


HEAD_BYTES = 16
"""How many bytes the answer needs."""
EXTENSIONS = {
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "image/gif": ("gif",),
    "image/bmp": ("bmp",),
    "video/mp4": ("mp4", "m4v", "m4a"),
    "video/quicktime": ("mov", "qt"),
    "video/webm": ("webm",),
    "audio/mpeg": ("mp3",),
    "audio/wav": ("wav",),
    "audio/aac": ("aac",),
    "audio/ogg": ("ogg", "oga"),
}
"""The extensions that a name may have for each type."""
ACCEPTED = {
    "image": ("image/jpeg", "image/png", "image/webp"),
    "video": ("video/mp4", "video/quicktime", "video/webm"),
    "audio": ("audio/mpeg", "video/mp4", "audio/wav", "audio/aac", "audio/ogg"),
}
"""The documented types of each kind; an MP4 container may hold sound alone."""
MAX_MB = {"image": 10, "video": 50, "audio": 10}
"""The documented default limits."""
_AAC_HEADS = (b"\xff\xf1", b"\xff\xf9")
_MP3_HEADS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("image/png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("image/webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("image/gif", lambda head: head.startswith((b"GIF87a", b"GIF89a"))),
    ("image/bmp", lambda head: head.startswith(b"BM")),
    ("audio/wav", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE"),
    ("video/quicktime", lambda head: head[4:8] == b"ftyp" and head[8:12] == b"qt  "),
    ("video/mp4", lambda head: head[4:8] == b"ftyp"),
    ("video/webm", lambda head: head.startswith(b"\x1aE\xdf\xa3")),
    ("audio/aac", lambda head: head.startswith(_AAC_HEADS)),
    ("audio/mpeg", lambda head: head.startswith(_MP3_HEADS)),
    ("audio/ogg", lambda head: head.startswith(b"OggS")),
)


def detected_type(data: bytes) -> str | None:
    """The MIME type that the bytes begin like, or None."""
    head = data[:HEAD_BYTES]
    return next((mime for mime, begins in _TESTS if begins(head)), None)


def fits_extension(name: str, mime: str) -> bool:
    """Whether the name's extension belongs to the type."""
    return name.rpartition(".")[2].lower() in EXTENSIONS[mime]
