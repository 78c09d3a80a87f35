"""How an action is done: at once to a batch that is named, and to those of a filter once its effect is agreed to."""

import sys
from collections.abc import Sequence

import typer

from worker import wiring
from worker.batches import bulk_actions
from worker.batches.bulk_actions import ActionResult, Frozen, Order
from worker.cli import lookup, output
from worker.cli.batches import bulk_preview
from worker.cli.batches.selection import Choice
from worker.cli.context import resolve
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.core.db.session import Database
from worker.core.rules.batch_state import ACTS_ON, ActionRefused, BatchAction

_NOTHING = "nothing was changed"


def run(choice: Choice, order: Order) -> None:
    """Do it, and say what came of it; ends with 1 when a batch was not in the state in which it was shown."""
    database = wiring.database(resolve().settings, connections=1)
    if choice.batch is not None:
        _run_on_one(database, choice, order, choice.batch)
    else:
        _run_on_many(database, choice, order)


def _run_on_one(database: Database, choice: Choice, order: Order, name: str) -> None:
    with database.transaction() as tx:
        row = lookup.batch(tx, name)
    reach = bulk_actions.look(database, row.id)
    if choice.dry_run:
        if reach.state not in ACTS_ON[order.action]:
            raise ActionRefused(reach.batch_id, order.action, reach.state)
        _show(Frozen(action=order.action, targets=[reach]), choice)
        return
    done = bulk_actions.perform(database, reach, order)
    if not choice.as_json:
        output.answers().print(bulk_preview.sentence(order.action, done), markup=False)
    elif done.cancelled is not None:
        effect = done.cancelled
        counts = {"cancelled": effect.cancelled, "released": effect.released, "draining": effect.draining}
        output.print_json({"batch": str(row.id), **counts})
    else:
        output.print_json(bulk_preview.done_as_json(order.action, done))


def _run_on_many(database: Database, choice: Choice, order: Order) -> None:
    frozen = bulk_actions.freeze(database, order.action, choice.selection)
    if not frozen.targets:
        raise CliError(f"no matching active batches: {_NOTHING}")
    if choice.dry_run:
        _show(frozen, choice)
        return
    if not choice.yes:
        _ask(frozen, choice)
    elif not choice.as_json:
        _show_table(frozen)
    _tell(order.action, bulk_actions.act(database, frozen, order), choice)


def _ask(frozen: Frozen, choice: Choice) -> None:
    """Show the effect and ask whoever sits there; raise CliError without a yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        _show(frozen, choice)
        raise CliError(f"{_NOTHING}: there is no terminal to ask on; add --yes", MISUSED)
    output.notes().print(bulk_preview.table(frozen.action, frozen.targets))
    count = len(frozen.targets)
    question = f"{frozen.action.value.capitalize()} {count:,} {'batch' if count == 1 else 'batches'}?"
    if not typer.confirm(question, default=False, err=True):
        raise CliError(_NOTHING)


def _show(frozen: Frozen, choice: Choice) -> None:
    if choice.as_json:
        found = [bulk_preview.reach_as_json(each) for each in frozen.targets]
        output.print_json({"action": frozen.action.value, "done": False, "batches": found})
    else:
        _show_table(frozen)


def _show_table(frozen: Frozen) -> None:
    output.answers().print(bulk_preview.table(frozen.action, frozen.targets))


def _tell(action: BatchAction, dones: Sequence[ActionResult], choice: Choice) -> None:
    refused = [done for done in dones if done.refusal is not None]
    if choice.as_json:
        found = [bulk_preview.done_as_json(action, done) for done in dones]
        output.print_json({"action": action.value, "done": not refused, "batches": found})
    else:
        _say(action, [done for done in dones if done.refusal is None])
    for done in refused:
        output.notes().print(f"left alone: {done.refusal}", markup=False)
    if refused:
        raise typer.Exit(FAILED)


def _say(action: BatchAction, dones: Sequence[ActionResult]) -> None:
    console = output.answers()
    if action is BatchAction.CANCEL:
        effects = [done.cancelled for done in dones if done.cancelled is not None]
        totals = [sum(getattr(each, name) for each in effects) for name in ("cancelled", "released", "draining")]
        console.print(bulk_preview.cancelled(*totals))
        return
    for done in dones:
        console.print(bulk_preview.sentence(action, done), markup=False)
