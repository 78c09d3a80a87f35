"""`darkroom top`: the fleet on one screen, with keys to pause and resume."""

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.batches.queries.overview import Overview
    from worker.cli.context import Context
    from worker.core.db.session import Database
    from worker.metrics.queries.fleet import Clocks, Fleet, StepErrors
    from worker.node.queries.nodes import NodeRow

_BATCHES = 10
_ERRORS = 5
_LATELY = timedelta(minutes=5)
_REASON = "in darkroom top"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that is on the screen."""

    account: str
    """The one that the keys pause and resume."""
    fleet: "Fleet"
    nodes: "list[NodeRow]"
    batches: "list[Overview]"
    clocks: "Clocks"
    errors: "list[StepErrors]"


def top(
    every: Annotated[float, typer.Option(min=0.5, max=60, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, as without a terminal.")] = False,
) -> None:
    """Show batches, limits, clocks, credits, nodes and errors live; keys pause and resume the account.

    p pauses, r resumes, q or Ctrl-C ends; the work goes on.
    """
    from rich.live import Live

    from worker.cli.context import opened

    context, database = opened()
    console = output.answers()
    if once or not (sys.stdin.isatty() and console.is_terminal):
        console.print(_picture(_look(context, database), note=""))
        return
    note = ""
    try:
        with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_picture(_look(context, database), note=note), refresh=True)
                key = _pressed(every)
                if key == "q":
                    return
                note = _act(context, database, key) or note
    except KeyboardInterrupt:
        return


def _look(context: "Context", database: "Database") -> Seen:
    from worker import wiring
    from worker.batches.queries import overview
    from worker.engine.queries import batches
    from worker.metrics.queries import fleet
    from worker.node.queries import nodes

    with database.transaction() as tx:
        fleet.limit(tx)
        now = wiring.clock()
        rows = [batches.by_id(tx, each) for each in fleet.undone_batches(tx, limit=_BATCHES)]
        floor = context.settings.wallet_floor
        return Seen(
            account=context.settings.account,
            fleet=fleet.read(tx),
            nodes=nodes.read_all(tx),
            batches=[overview.read(tx, row, now=now, wallet_floor=floor) for row in rows if row is not None],
            clocks=fleet.clocks(tx, since=now - _LATELY),
            errors=fleet.step_errors(tx, limit=_ERRORS),
        )


def _act(context: "Context", database: "Database", key: str) -> str:
    """Pause or resume the account; returns what was done."""
    from worker.accounts import control
    from worker.cli import signing
    from worker.core.rules.errors import DarkroomError

    actions = {"p": (control.pause, "paused"), "r": (control.resume, "resumed")}
    if key not in actions:
        return ""
    do, done = actions[key]
    name = context.settings.account
    try:
        do(database, name, signing.author(None, _REASON))
    except DarkroomError as error:
        return str(error)
    return f"account {name} {done}"


@contextmanager
def _keys() -> Iterator[None]:
    """Have keys read one by one, without Enter."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed(within_s: float) -> str:
    """Return the key that is pressed within so many seconds; empty: none is."""
    ready, _, _ = select.select([sys.stdin], [], [], within_s)
    return sys.stdin.read(1).lower() if ready else ""


def _picture(seen: Seen, *, note: str) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [_accounts(seen), Text(_clocks(seen.clocks)), _nodes(seen)]
    parts.append(_batches(seen) if seen.batches else Text("No batch is open."))
    parts += (Text(f"{output.plural(each.steps, each.kind)}: {each.error}", style="yellow") for each in seen.errors)
    keys = f"p pause {seen.account}, r resume {seen.account}, q end"
    parts.append(Text(f"{keys}{f'   {note}' if note else ''}", style="dim"))
    return Group(*parts)


def _accounts(seen: Seen) -> Any:
    numbers = ("in flight", "rate", "in use", "wallet", "held", "reserved", "spent", "in doubt", "not downloaded")
    table = output.table("account", "state", *numbers, numbers=numbers)
    for each in seen.fleet.accounts:
        state = f"paused: {each.pause_reason}" if each.pause_reason else "closed" if each.blocked_s else "open"
        wallet = "?" if each.wallet_left is None else f"{each.wallet_left:,}"
        counts = (each.held, each.reserved, each.spent, each.in_doubt, each.uncollected)
        table.add_row(
            each.account,
            state,
            f"{each.in_flight:,}/{each.max_in_flight:,}",
            f"{each.rate:.3g}/s",
            f"{each.saturation:.0%}",
            wallet,
            *(f"{count:,}" for count in counts),
        )
    return table


def _clocks(found: "Clocks") -> str:
    if not found.images:
        return "clocks: no image in the last 5 minutes"
    spans = (("queue", found.queue_s), ("provider", found.provider_s), ("download", found.download_s))
    medians = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spans if seconds is not None)
    return f"clocks (medians of {found.images:,} images in 5 minutes): {medians}"


def _nodes(seen: Seen) -> Any:
    from rich.text import Text

    if not seen.nodes:
        return Text("nodes: none; start one with `darkroom node`", style="red")
    said = [f"{each.name} {_state(each)}" for each in seen.nodes]
    is_well = all(each.is_alive and not each.is_stalled for each in seen.nodes)
    return Text(f"nodes: {', '.join(said)}", style="" if is_well else "yellow")


def _state(node: "NodeRow") -> str:
    if not node.is_alive:
        return "lost"
    return f"stalled ({node.error})" if node.is_stalled else "ready"


def _batches(seen: Seen) -> Any:
    from worker.core.rules.states import JobState

    numbers = ("done", "active", "pending", "failed", "of", "spent")
    table = output.table("batch", "state", *numbers, "waits for", numbers=numbers, details=("waits for",))
    for each in seen.batches:
        states = (JobState.SUCCEEDED, JobState.ACTIVE, JobState.PENDING, JobState.FAILED)
        counts = (*(each.jobs[state] for state in states), each.batch.size, each.spent)
        waits = "" if each.obstacle is None else each.obstacle.reason
        table.add_row(each.batch.name, each.state, *(f"{count:,}" for count in counts), waits)
    return table
