"""Standard streams that are closed, full or of another encoding; and text files written whole or not at all."""

import errno
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, NoReturn, TextIO, TypeVar

from worker.core.output_files import file_mode


def prepare() -> None:
    """Give every stream something to write to or read from, and let no character be an error.

    Python sets a stream that was closed by the caller to None.
    """
    sys.stdout = _writable(sys.stdout)
    sys.stderr = _writable(sys.stderr)
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - open as long as the process lives


def holds_any_text(stream: TextIO) -> bool:
    """Return whether the stream's encoding has every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def finish() -> None:
    """Flush the output while an error can still be reported; raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()


def is_reader_gone(error: BaseException) -> bool:
    """Return whether the reader of the output has ended, as ``| head`` does."""
    return isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EPIPE


def exit_quietly() -> NoReturn:
    """End with status 0 because the reader is gone; nothing that is still buffered is written."""
    _discard(sys.stdout)
    sys.exit(0)


def finish_or_give_up() -> None:
    """Flush the output before an error is reported; discard it if that fails, as the interpreter would try again."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)


def _writable(stream: TextIO | None) -> TextIO:
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _discard(stream: TextIO) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        # A stream without a descriptor, as in tests, has nothing left to write.
        return


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
            part.chmod(file_mode())
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
    return given
