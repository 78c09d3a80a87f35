"""What a person is told when a command does not do what was asked: one sentence, and the next step."""

import errno
import os
from dataclasses import dataclass

from worker.core.rules.errors import DarkroomError

FAILED, MISUSED = 1, 2

_UNWRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EROFS})


class CliError(DarkroomError):
    """A command cannot go on; the text says why and what to do next."""

    error_code = "command_failed"

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        """Keep both; 2 stands for usage and configuration."""
        super().__init__(text, exit_code)
        self.text = text
        self.exit_code = exit_code

    def __str__(self) -> str:
        """Return the message."""
        return self.text


@dataclass(frozen=True, kw_only=True)
class Explained:
    """An error as it is shown."""

    text: str
    exit_code: int = FAILED


def explain(error: Exception) -> Explained:
    """Return the message for an error; an unexpected one says how to see more."""
    if isinstance(error, DarkroomError):
        return Explained(text=f"darkroom: {error.explanation()}", exit_code=error.exit_code)
    if known := next(filter(None, (explain_kind(error) for explain_kind in _EXPLAINED)), None):
        return known
    return Explained(
        text=f"darkroom: an unexpected error, {type(error).__name__}: {error}\n"
        "Set DARKROOM_DEBUG=1 and run the same command again to see where it comes from."
    )


def _explain_system(error: Exception) -> Explained | None:
    """Name what could not be written; a write that failed without a file's name was to standard output."""
    if not isinstance(error, OSError) or error.errno not in _UNWRITTEN:
        return None
    where = "the output" if error.filename is None else os.fsdecode(error.filename)
    return Explained(text=f"darkroom: {where} cannot be written: {error.strerror}")


def _explain_settings(error: Exception) -> Explained | None:
    """Show a value error as it is when it names the setting."""
    if isinstance(error, ValueError) and any(name in str(error) for name in ("RIVYA_", "DARKROOM_")):
        return Explained(text=f"darkroom: {error}", exit_code=MISUSED)
    return None


def _explain_database(error: Exception) -> Explained | None:
    from psycopg import errors
    from sqlalchemy.exc import DBAPIError

    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, errors.UndefinedTable | errors.UndefinedColumn):
        return Explained(text=f"darkroom: {_lacks_tables()}")
    reason = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    return Explained(text=f"darkroom: the database reported an error: {reason}; run `darkroom doctor`")


def _lacks_tables() -> str:
    """Return what to do about a database without tables; the other mode of a home has a database of its own."""
    from worker.cli.context import other_mode, resolve
    from worker.cli.local import running

    context = resolve(needs_database=False)
    if said := running.hint_of_start(context.home, mode=context.mode):
        return said
    step = "bring it up to date with `darkroom up`, or set DARKROOM_DATABASE_URL and run `darkroom migrate`"
    found = other_mode()
    if found is None:
        return f"the database lacks tables: {step}"
    _, mode, how = found
    return f"the database of {context.mode} mode lacks tables: {step}. To look at {mode} mode, {how}"


_EXPLAINED = (
    _explain_system,
    _explain_settings,
    _explain_database,
)
