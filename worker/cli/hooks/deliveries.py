"""`darkroom hook deliveries` and `replay`: how events were delivered, and sending them again."""

from datetime import timedelta
from typing import Annotated

import typer

from worker.cli import output

_WHEN = "Dead letters of then or later: 2026-11-30, or 2026-11-30T18:00:00Z. [default: the last 7 days]"
_OF_HOOK = Annotated[str | None, typer.Option("--hook", metavar="HOOK", help="Only those of this hook.")]


def list_(
    failed: Annotated[bool, typer.Option("--failed", help="Only dead letters, which are not tried any more.")] = False,
    hook: _OF_HOOK = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    as_json: output.AsJson = False,
) -> None:
    """List deliveries, newest event first: state, tries, the last answer and error."""
    from worker import wiring
    from worker.cli.context import resolve
    from worker.cli.hooks.hook import shown
    from worker.core.rules import events
    from worker.hooks import subscriptions
    from worker.hooks.queries import deliveries

    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        hook_id = None if hook is None else subscriptions.find(tx, hook).id
        found = deliveries.newest(tx, hook_id=hook_id, is_failed=failed, limit=limit)
    if as_json:
        output.print_json([shown(each) for each in found])
        return
    table = output.table(
        "delivery", "event", "type", "target", "state", "tries", "next try", "status", "last error",
        numbers=("tries", "status"), whole=("delivery",), details=("last error", "event", "delivery"),
    )  # fmt: skip
    for each in found:
        is_open = each.state in {"new", "waiting"}
        next_try = f"{each.due_at:%Y-%m-%d %H:%M:%S}" if is_open else ""
        row = (str(each.id), events.public_id(each.event_id), each.type, each.target, each.state)
        table.add_row(*row, f"{each.attempts:,}", next_try, str(each.status or ""), each.last_error or "")
    output.answers().print(table)


def replay(
    delivery: Annotated[
        str | None,
        typer.Argument(
            metavar="[DELIVERY|EVENT]", help="A delivery's id, or an event's: then to every hook it went to."
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All dead letters since an instant.")] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help=_WHEN)] = None,
    hook: _OF_HOOK = None,
    as_json: output.AsJson = False,
) -> None:
    """Send deliveries again, with a fresh schedule of retries; each event keeps its id."""
    from worker import wiring
    from worker.cli.batches.bulk_commands import instant
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError
    from worker.hooks import subscriptions

    if (delivery is None) is not failed or (delivery is not None and (since or hook)):
        raise CliError("give either a delivery or event, or --failed with --since and --hook", MISUSED)
    database = wiring.database(resolve().settings, connections=1)
    now = wiring.clock()
    if delivery is not None:
        count = subscriptions.replay(database, delivery, now=now)
    else:
        began = instant("--since", since) or now - timedelta(days=7)
        count = subscriptions.replay_failed(database, since=began, hook=hook, now=now)
    if as_json:
        output.print_json({"replayed": count})
    else:
        noun = "delivery is" if count == 1 else "deliveries are"
        output.answers().print(f"{count:,} {noun} sent again")
