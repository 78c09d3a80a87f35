"""Who acts, and why: how a command learns both."""

import getpass
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from worker.cli import output
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.core.db.changes import Author
    from worker.ledger.rules.entries import Movement

_Posted = TypeVar("_Posted")
_NAME_MAX, _REASON_MAX = 200, 1000

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; without: USER@HOST.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the change.")]

OverOption = Annotated[
    bool, typer.Option("--over", help="More was charged than was ever held or reserved, and that is correct.")
]


def author(by: str | None, why: str | None) -> "Author":
    """Return who changes a setting, and why, at this instant."""
    from worker import wiring
    from worker.cli.context import resolve
    from worker.core.db.changes import Author

    reason = _fit(why, "--reason", _REASON_MAX)
    if not wiring.clock.is_bound:
        wiring.database(resolve().settings, connections=1)
    return Author(actor=actor(by), reason=reason, now=wiring.clock(), new_id=wiring.new_id)


def actor(by: str | None) -> str:
    """Return the name that was given, or the operating system's user at this host."""
    return _fit(by, "--by", _NAME_MAX) or f"{_user()}@{socket.gethostname()}"


def text(given: str) -> str:
    """Return a reason that has to be there."""
    found = _fit(given, "--reason", _REASON_MAX)
    if found is None:
        raise CliError("--reason: say why in a few words; they are kept", MISUSED)
    return found


def required(by: str | None, text: str | None) -> tuple[str, str]:
    """Return name and reason; raise CliError when one is missing: credits are corrected by a named person only."""
    name, why = _fit(by, "--by", _NAME_MAX), _fit(text, "--reason", _REASON_MAX)
    if name is None or why is None:
        raise CliError("a correction needs both: --by NAME and --reason TEXT, which are kept with every entry", MISUSED)
    return name, why


def with_consent(post: Callable[[bool], _Posted], *, over: bool) -> _Posted:
    """Post, and when it is more than was ever promised ask whoever sits there; raise CliError with nobody to ask."""
    from worker.audit.rules.dispute_decision import TooMuch

    try:
        return post(over)
    except TooMuch as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise CliError(str(error), MISUSED) from None
        output.notes().print(f"{error.charged:,} credits, where {error.expected:,} were expected.", markup=False)
        if not typer.confirm("Is that intended?", default=False, err=True):
            raise CliError("nothing was changed") from None
    return post(True)


def shown(movements: Sequence["Movement"]) -> list[dict[str, str | int]]:
    """Return the entries as scripts read them."""
    return [
        {"kind": m.kind.value, "source": m.source.value, "target": m.target.value, "credits": m.credits}
        for m in movements
    ]


def print_entries(movements: Sequence["Movement"]) -> None:
    """Print each entry in a line."""
    for m in movements:
        moved = output.plural(m.credits, "credit")
        output.answers().print(f"  {m.kind.value}: {moved} from {m.source.value} to {m.target.value}", markup=False)


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
