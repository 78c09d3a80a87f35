"""`darkroom hook`: who receives events, how they were delivered, and sending them again."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing
from worker.core.rules.events import SUBSCRIBABLE

if TYPE_CHECKING:
    from uuid import UUID

    from worker.core.db.session import Database
    from worker.hooks.queries.deliveries import DeliveryRow
    from worker.hooks.queries.hooks import HookRow
    from worker.hooks.subscriptions import Secret

_TARGET = (
    "A URL that receives each event as a signed POST, or a command of the nodes' DARKROOM_HOOK_COMMANDS by its name."
)
_EVENTS = f"An event to receive: {', '.join(SUBSCRIBABLE)}; may be given again."
HookId = Annotated[str, typer.Argument(metavar="HOOK", help="Its id.")]
_WHEN = "Dead letters of then or later: 2026-11-30, or 2026-11-30T18:00:00Z. [default: the last 7 days]"
_OF_HOOK = Annotated[str | None, typer.Option("--hook", metavar="HOOK", help="Only those of this hook.")]


def add(
    target: Annotated[str, typer.Argument(metavar="URL|COMMAND", help=_TARGET)],
    event: Annotated[list[str], typer.Option("--event", metavar="TYPE", help=_EVENTS)],
    catalog: Annotated[
        str | None, typer.Option("--catalog", metavar="NAME", help="Only the events of this catalog: image.live.")
    ] = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a hook: a URL or command that receives events. Prints the secret of a URL, this once."""
    from worker.cli.context import opened
    from worker.hooks import subscriptions

    context, database = opened()
    catalog_id = None if catalog is None else _catalog_id(catalog)
    made = subscriptions.add(database, signing.author(by, reason), target, event, catalog_id=catalog_id)
    if made.secret is None and target not in context.settings.hook_commands:
        output.notes().print(
            f"DARKROOM_HOOK_COMMANDS has no {target} here: each node needs it to run the command", markup=False
        )
    _print_secret(made, as_json=as_json)


def list_(as_json: output.AsJson = False) -> None:
    """List the hooks, with their events and pending deliveries."""
    from worker.cli.context import opened
    from worker.hooks.queries import hooks

    _, database = opened()
    with database.transaction() as tx:
        found = hooks.all_(tx)
    if as_json:
        output.print_json([_shown(each) for each in found])
        return
    table = output.table(
        "hook", "target", "events", "catalog", "state", "delivered", "waiting", "failed", "last error",
        numbers=("delivered", "waiting", "failed"), whole=("hook",), details=("last error", "events", "hook"),
    )  # fmt: skip
    for each in found:
        counts = (f"{each.delivered:,}", f"{each.waiting:,}", f"{each.given_up:,}")
        said = each.disabled_reason or each.last_error or ""
        row = (str(each.id), each.target, ", ".join(each.events), each.catalog or "", _state(each))
        table.add_row(*row, *counts, said)
    output.answers().print(table)


def rotate(
    hook: HookId,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Make a hook a new secret and print it, this once; the old one signs too for 24 hours."""
    from worker.cli.context import opened
    from worker.hooks import subscriptions

    _, database = opened()
    _print_secret(subscriptions.rotate(database, signing.author(by, reason), hook), as_json=as_json)


def send_test(
    hook: HookId,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for its outcome.")] = 30.0,
    by: signing.ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Have a node send the event hook.test to a hook, and show how it went; exit status 1 if it was not taken."""
    from worker.cli.context import opened
    from worker.cli.errors import CliError
    from worker.hooks import subscriptions

    _, database = opened()
    delivery_id = subscriptions.test(database, signing.author(by, None), hook)
    found = _outcome(database, delivery_id, wait)
    if as_json:
        output.print_json(_shown_delivery(found))
    elif found.delivered_at is not None:
        answered = "" if found.status is None else f" with HTTP {found.status}"
        output.answers().print(f"delivered{answered}", markup=False)
    if found.attempts == 0:
        raise CliError(
            f"no node has sent it within {wait:g} s: `darkroom hook deliveries --hook {hook}` shows when one has"
        )
    if found.delivered_at is None:
        raise CliError(f"not taken: {found.last_error}; it is sent again later")


def enable(
    hook: HookId,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Switch a hook on again that was disabled; what it missed can be replayed."""
    from worker.cli.context import opened
    from worker.hooks import subscriptions

    _, database = opened()
    is_changed = subscriptions.enable(database, signing.author(by, reason), hook)
    if as_json:
        output.print_json({"hook": hook, "was_disabled": is_changed})
    else:
        output.answers().print("enabled" if is_changed else "it was not disabled")


def remove(
    hook: HookId,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Remove a hook and drop its pending deliveries."""
    from worker.cli.context import opened
    from worker.hooks import subscriptions

    _, database = opened()
    dropped = subscriptions.remove(database, signing.author(by, reason), hook)
    if as_json:
        output.print_json({"hook": hook, "dropped": dropped})
    else:
        output.answers().print(f"removed; {output.plural(dropped, 'event')} will not be delivered")


def list_deliveries(
    failed: Annotated[bool, typer.Option("--failed", help="Only dead letters, which are not tried any more.")] = False,
    hook: _OF_HOOK = None,
    limit: output.HowMany = 50,
    as_json: output.AsJson = False,
) -> None:
    """List deliveries, newest event first: state, tries, the last answer and error."""
    from worker import wiring
    from worker.cli.context import resolve
    from worker.core.rules import events
    from worker.hooks import subscriptions
    from worker.hooks.queries import deliveries

    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        hook_id = None if hook is None else subscriptions.find(tx, hook).id
        found = deliveries.newest(tx, hook_id=hook_id, is_failed=failed, limit=limit)
    if as_json:
        output.print_json([_shown_delivery(each) for each in found])
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


def _shown_delivery(each: "DeliveryRow") -> dict[str, Any]:
    from worker.batches.views import instant
    from worker.core.rules import events

    times = ("created_at", "tried_at", "due_at", "delivered_at", "given_up_at")
    return {
        "delivery": str(each.id),
        "hook": str(each.hook_id),
        "target": each.target,
        "event": events.public_id(each.event_id),
        "type": each.type,
        "state": each.state,
        "attempts": each.attempts,
        "status": each.status,
        "response": each.response,
        "error": each.last_error,
        **{name: instant(getattr(each, name)) for name in times},
    }


def _catalog_id(name: str) -> "UUID":
    from worker.cli.catalog.review import opened

    _, _, catalog = opened(name)
    return catalog.id


def _outcome(database: "Database", delivery_id: "UUID", wait_s: float) -> "DeliveryRow":
    """Return the delivery once it was tried, or as it is when the time is up."""
    from worker.hooks.queries import deliveries

    end = time.monotonic() + wait_s
    while True:
        with database.transaction() as tx:
            found = deliveries.one(tx, delivery_id)
        assert found is not None
        is_tried = found.delivered_at is not None or found.last_error is not None
        if is_tried or time.monotonic() >= end:
            return found
        time.sleep(0.2)


def _print_secret(made: "Secret", *, as_json: bool) -> None:
    if as_json:
        output.print_json({"hook": str(made.hook_id), "secret": made.secret})
        return
    output.answers().print(f"hook {made.hook_id}", markup=False)
    if made.secret is not None:
        output.answers().print(f"secret {made.secret}", markup=False)
        output.notes().print("Keep the secret: it is not shown again, and `darkroom hook rotate` makes another one.")


def _state(each: "HookRow") -> str:
    if each.disabled_at is not None:
        return "disabled"
    return "ok" if each.failing_since is None else "failing"


def _shown(each: "HookRow") -> dict[str, Any]:
    from worker.batches.views import instant

    times = ("created_at", "rotated_at", "failing_since", "disabled_at")
    return {
        "hook": str(each.id),
        "kind": each.kind.value,
        "target": each.target,
        "events": list(each.events),
        "catalog": each.catalog,
        "state": _state(each),
        "disabled_reason": each.disabled_reason,
        "delivered": each.delivered,
        "waiting": each.waiting,
        "failed": each.given_up,
        "last_error": each.last_error,
        **{name: instant(getattr(each, name)) for name in times},
    }
