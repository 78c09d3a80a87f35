"""`darkroom refused`: batches that were refused, with the reason, and the bytes of messages that could not be read."""

from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.core.db.session import Database
    from worker.intake.queries.messages import Refused


def refused(
    batch: Annotated[
        str | None,
        typer.Argument(metavar="[BATCH]", help="With --raw: a refused batch, by its id or its token."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the stored bytes of the batch's message, escaped, instead of the list.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="List: how many days to look back.")] = 7,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="List: how many batches at most.")] = 20,
    as_json: output.AsJson = False,
) -> None:
    """List refused batches with the reason; --raw shows the bytes of a message that could not be read.

    Below the list, messages that were dropped from other queues are counted.
    """
    from worker import wiring
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError

    if raw != (batch is not None):
        raise CliError("--raw goes with a BATCH: `darkroom refused BATCH --raw`", MISUSED)
    database = wiring.database(resolve().settings, connections=1)
    if batch is not None:
        _show_raw(database, batch, as_json=as_json)
    else:
        _show_list(database, timedelta(days=days), limit, as_json=as_json)


def _show_list(database: "Database", span: timedelta, limit: int, *, as_json: bool) -> None:
    from worker import wiring
    from worker.intake.queries import messages

    since = wiring.clock() - span
    with database.transaction() as tx:
        total, found = messages.refused(tx, since=since, limit=limit)
        dropped = messages.dropped(tx, since=since)
    if as_json:
        batches = [_as_json(each) for each in found]
        output.print_json({"refused": total, "batches": batches, "dropped": [_fields(each) for each in dropped]})
        return
    console = output.answers()
    if found:
        console.print(_table(found))
    console.print(f"refused since {since:%Y-%m-%d %H:%M} UTC: {total:,}", markup=False)
    for each in dropped:
        count = output.plural(each.messages, "message")
        console.print(f"{count} dropped from {each.queue}, the last one because {each.last_reason}", markup=False)
    if found:
        console.print("`darkroom status BATCH` has every fault, `darkroom refused BATCH --raw` the message.")


def _table(found: "list[Refused]") -> Any:
    table = output.table("batch", "token", "refused", "faults", "reason", numbers=("faults",), details=("reason",))
    for each in found:
        reason = f"{each.field}: {each.reason}"
        table.add_row(str(each.batch_id), each.token, f"{each.created_at:%Y-%m-%d %H:%M}", f"{each.faults:,}", reason)
    return table


def _as_json(found: "Refused") -> dict[str, Any]:
    return _fields(found) | {"batch_id": str(found.batch_id), "created_at": found.created_at.isoformat()}


def _fields(found: object) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)  # type: ignore[call-overload,no-any-return]  # a dataclass of worker.intake.queries.messages


def _show_raw(database: "Database", name: str, *, as_json: bool) -> None:
    from worker.cli import lookup
    from worker.cli.errors import CliError
    from worker.intake.queries import messages

    with database.transaction() as tx:
        row = lookup.batch(tx, name)
        kept = messages.refused_raw(tx, row.id)
    if kept is None:
        raise CliError(f"{row.id} has no stored message: its faults are in `darkroom status {row.id}`")
    if as_json:
        output.print_json({"batch_id": str(row.id), "raw_base64": b64encode(kept).decode()})
    else:
        output.answers().print(escaped(kept), markup=False, soft_wrap=True)


def escaped(raw: bytes) -> str:
    r"""Return the bytes as printable ASCII on one line, with others and the backslash as ``\\n``, ``\x1b``."""
    return raw.decode("latin-1").encode("unicode_escape").decode("ascii")
