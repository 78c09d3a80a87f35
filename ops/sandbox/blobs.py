"""Where the bytes of uploads are kept: in a folder, or in memory."""

from pathlib import Path


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
