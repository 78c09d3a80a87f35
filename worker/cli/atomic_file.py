"""A text file is written whole or not at all: under a name beside it, then renamed."""

from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TypeVar

_T = TypeVar("_T")


def write_whole(to: Path, write: Callable[[IO[str]], _T]) -> _T:
    """``to`` is what ``write`` wrote, and what that gave is given; an older file stays when anything fails."""
    with NamedTemporaryFile(
        "w",
        dir=to.parent,
        prefix=f".{to.name[:100]}.",
        suffix=".part",
        encoding="utf-8",
        errors="backslashreplace",
        newline="",
        delete=False,
    ) as file:
        part = Path(file.name)
        try:
            given = write(file)
            file.close()
            part.chmod(0o644)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
    return given
