"""Who acts, and why: how a command learns both."""

import getpass
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.changes import Author

_NAME_MAX, _REASON_MAX = 200, 1000

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; without: USER@HOST.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the change.")]


def author(by: str | None, why: str | None) -> "Author":
    """Give who changes a setting, and why, at this instant."""
    from worker import wiring
    from worker.changes import Author

    reason = _fit(why, "--reason", _REASON_MAX)
    return Author(actor=actor(by), reason=reason, now=wiring.clock(), new_id=wiring.new_id)


def actor(by: str | None) -> str:
    """Give the name that was given, or the operating system's user at this host."""
    return _fit(by, "--by", _NAME_MAX) or f"{_user()}@{socket.gethostname()}"


def text(given: str) -> str:
    """Give a reason that has to be there."""
    found = _fit(given, "--reason", _REASON_MAX)
    if found is None:
        raise CliError("--reason: say why in a few words; they are kept", MISUSED)
    return found


def required(by: str | None, text: str | None) -> tuple[str, str]:
    """Give name and reason; raise CliError when one is missing: credits are corrected by a named person only."""
    name, why = _fit(by, "--by", _NAME_MAX), _fit(text, "--reason", _REASON_MAX)
    if name is None or why is None:
        raise CliError("a correction needs both: --by NAME and --reason TEXT, which are kept with every entry", MISUSED)
    return name, why


def _fit(text: str | None, option: str, longest: int) -> str | None:
    if text is None or not text.strip():
        return None
    found = text.strip()
    if len(found) > longest or not found.isprintable():
        raise CliError(f"{option}: one line of at most {longest} characters is taken", MISUSED)
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
