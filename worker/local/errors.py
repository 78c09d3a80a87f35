"""Errors of the embedded servers, each with the next step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.core.rules.errors import DarkroomError

TAIL_LINES = 15


class ServicesError(DarkroomError):
    """The embedded servers are not as asked: what failed, why, and what to do next."""

    error_code = "services_failed"

    def __init__(self, what: str, reason: str, next_step: str) -> None:
        """Keep the three parts; all arguments are positional so that the error pickles."""
        super().__init__(what, reason, next_step)
        self.what = what
        self.reason = reason
        self.next_step = next_step

    def __str__(self) -> str:
        """Return what failed and why, then the next step on a line of its own."""
        return f"{self.what}: {self.reason}\nNext step: {self.next_step}"


def tail(log: Path) -> str:
    """Return the last lines of a log, or say that it is empty or missing."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return f"{log} does not exist"
    return "\n".join(lines[-TAIL_LINES:]) or f"{log} is empty"


@contextmanager
def explain_system_errors(home: Path) -> Iterator[None]:
    """Turn an error of the system (disk full, no permission) into a ServicesError that names the path."""
    try:
        yield
    except OSError as error:
        place = error.filename or home
        raise ServicesError(
            "The embedded services met an error of the operating system",
            f"{error.strerror or error} at {place}",
            "free space or fix the permissions there, or set DARKROOM_HOME to another folder.",
        ) from error
