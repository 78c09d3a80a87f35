"""Who acts, and why: how a command learns both."""

import os
import pwd
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from worker.cli import output
from worker.cli.errors import MISUSED, CliError

if TYPE_CHECKING:
    from worker.core.db.changes import Author
    from worker.core.db.session import Database
    from worker.ledger.rules.entries import Movement

_Posted = TypeVar("_Posted")
_NAME_MAX, _REASON_MAX = 200, 1000

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; without: USER@HOST.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the change.")]

DeciderOption = Annotated[str, typer.Option("--by", metavar="PERSON", help="Who decides it; kept with the images.")]

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
    """Return the name that was given, or the operating system's user at this host.

    Raises CliError for a name where DARKROOM_REQUIRE_IDENTITY has names proved.
    """
    given = _fit(by, "--by", _NAME_MAX)
    if given is None:
        return f"cli:{user()}@{socket.gethostname()}"
    if _requires_identity():
        raise CliError("--by: DARKROOM_REQUIRE_IDENTITY is set, so that you sign with your own login", MISUSED)
    return given


def record_export(database: "Database", subject: str, what: str) -> None:
    """Record an export in the log of changes; a read-only login, such as an auditor's, records nothing."""
    from psycopg import errors
    from sqlalchemy.exc import DBAPIError

    from worker.core.db import changes

    try:
        with database.transaction() as tx:
            changes.record_export(tx, author(None, None), subject, what)
    except DBAPIError as error:
        if not isinstance(error.orig, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            raise


def text(given: str) -> str:
    """Return a reason that has to be there."""
    found = _fit(given, "--reason", _REASON_MAX)
    if found is None:
        raise CliError("--reason: say why in a few words; they are kept", MISUSED)
    return found


def required(by: str | None, text: str | None) -> tuple[str, str]:
    """Return name and reason; raise CliError when one is missing: credits are corrected by a named person only."""
    why = _fit(text, "--reason", _REASON_MAX)
    if why is None or (by is None and not _requires_identity()):
        raise CliError("a correction needs both: --by NAME and --reason TEXT, which are kept with every entry", MISUSED)
    return actor(by), why


def _requires_identity() -> bool:
    from worker.settings import load

    return load().require_identity


def with_consent(post: Callable[[bool], _Posted], *, over: bool) -> _Posted:
    """Post, and ask first when it is more than was ever reserved; raise CliError without a terminal to ask on."""
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
        raise CliError(f"{option}: must be one line of at most {longest} characters", MISUSED)
    return found


def user() -> str:
    """Return the operating system's user by its uid, as environment variables can be forged."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
