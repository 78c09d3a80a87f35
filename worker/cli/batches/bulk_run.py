"""Run an action on batches: show what it would change, ask, do it, and print the result."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

import typer
from rich.progress import track

from worker import wiring
from worker.batches import actions, bulk_operations, views
from worker.batches.actions import Effect, Order
from worker.batches.queries import bulk_operations as operation_rows
from worker.batches.queries.bulk_operations import ImageTarget, ItemRow, OperationRow, Target
from worker.batches.rules.bulk_operation import BulkAction, ItemState
from worker.catalog import reviewing
from worker.catalog.rules.decisions import Verdict
from worker.cli import lookup, output, spending
from worker.cli.batches.bulk_commands import Choice
from worker.cli.context import Context, opened
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.listing import Listing
from worker.cli.spending import Consent
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.states import ACTS_ON, LEADS_TO, ActionRefused, BatchAction

_NOTHING = "nothing was changed"


@dataclass(frozen=True, kw_only=True)
class ActionResult:
    """The outcome for one batch; ``refusal`` says why it was skipped."""

    target: Target
    refusal: str | None = None
    effect: Effect = field(default_factory=Effect)


def run(choice: Choice, order: Order, consent: Consent | None = None) -> None:
    """Carry out the action and print the outcome; exit with 1 when a batch's state had changed since the preview.

    An action that spends needs the consent of the command line.
    """
    context, database = opened()
    if choice.batch is not None:
        _run_on_one(database, choice, order, choice.batch)
    else:
        _run_on_many(context, database, choice, order, consent)


def _run_on_one(database: Database, choice: Choice, order: Order, name: str) -> None:
    with database.transaction() as tx:
        row = lookup.batch(tx, name)
    target = bulk_operations.target_of(database, row.id, code=order.code)
    if choice.dry_run:
        if target.state not in ACTS_ON[order.action]:
            raise ActionRefused(target.batch_id, order.action, target.state)
        _show(order.action, [target], choice)
        return
    with database.bulk_transaction() as tx:
        result = ActionResult(target=target, effect=actions.perform(tx, row.id, order))
    if not choice.as_json:
        output.answers().print(sentence(order.action, result), markup=False)
    elif result.effect.cancelled is not None:
        output.print_json({"batch": str(row.id), **asdict(result.effect.cancelled)})
    else:
        output.print_json(result_as_json(order.action, result))


def _run_on_many(context: Context, database: Database, choice: Choice, order: Order, consent: Consent | None) -> None:
    targets = bulk_operations.preview(database, order.action, choice.selection, code=order.code)
    if not targets:
        raise CliError(f"no matching {'failed jobs' if consent else 'active batches'}: {_NOTHING}")
    if choice.dry_run:
        _show(order.action, targets, choice)
        return
    if not choice.yes:
        _ask(order.action, targets, choice)
    elif not choice.as_json:
        _show_table(order.action, targets)
    if consent is not None:
        _check_price(context, targets, consent)
    operation = bulk_operations.create(database, order, choice.selection, targets)
    start(context, database, operation, order.author, as_json=choice.as_json)


def _check_price(context: Context, targets: Sequence[Target], consent: Consent) -> None:
    """Print what it costs; raise CliError when that is more than the command line permits. The person has agreed."""
    jobs = sum(each.failed for each in targets)
    price = sum(each.failed_credits for each in targets)
    spending.is_permitted(context, f"{output.plural(jobs, 'job')} again", price, replace(consent, yes=True))


def start(context: Context, database: Database, operation: OperationRow, author: Author, *, as_json: bool) -> None:
    """Carry out a previewed operation and print the outcome."""
    above = context.settings.approve_above
    started = bulk_operations.start(database, operation.id, author, approve_above=above)
    items = _perform(database, started)
    if started.action is BulkAction.DECIDE:
        _tell_decided(started, items, as_json=as_json)
        return
    action = BatchAction(started.action)
    _tell(action, started.id, [_result(action, each) for each in items], as_json=as_json)


def _perform(database: Database, operation: OperationRow) -> list[ItemRow]:
    """Do all of it here; when this process ends before, nodes do the rest."""
    try:
        steps = bulk_operations.advance(
            database, operation.id, decide=reviewing.decide_item, clock=wiring.clock, new_id=wiring.new_id
        )
        console = output.notes()
        for _ in track(
            steps,
            str(operation.action),
            operation.items,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ):
            pass
    except KeyboardInterrupt:
        raise CliError(
            f"bulk operation {operation.id} continues by itself while a node runs;"
            f" `darkroom bulk cancel {operation.id}` stops it"
        ) from None
    with database.transaction() as tx:
        return operation_rows.items(tx, operation.id)


def _result(action: BatchAction, item: ItemRow) -> ActionResult:
    assert item.target is not None
    if item.state is not ItemState.DONE or item.effect is None:
        return ActionResult(target=item.target, refusal=item.detail or "a node does it")
    return ActionResult(target=item.target, effect=bulk_operations.effect_of(action, item.effect))


def _ask(action: BatchAction, targets: Sequence[Target], choice: Choice) -> None:
    """Show the effect and ask on the terminal; raise CliError without a yes."""
    if not _has_terminal():
        _show(action, targets, choice)
    else:
        output.notes().print(table(action, targets))
    confirm(f"{action.value.capitalize()} {len(targets):,} {'batch' if len(targets) == 1 else 'batches'}?")


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> None:
    """Ask on the terminal; raise CliError without a yes, or without a terminal."""
    if not _has_terminal():
        raise CliError(f"{_NOTHING}: there is no terminal to ask on; add --yes", MISUSED)
    if not typer.confirm(question, default=False, err=True):
        raise CliError(_NOTHING)


def show_images(verdict: str, targets: Sequence[ImageTarget], *, as_json: bool) -> None:
    """Print the images that a decision would be about."""
    if as_json:
        found = [views.image(each) for each in targets]
        output.print_json({"action": "decide", "verdict": verdict, "done": False, "images": found})
        return
    made = output.table("sku", "image", "not as ordered", whole=("image",), details=("image",))
    for each in targets:
        made.add_row(each.sku, str(each.render_id), ", ".join(each.not_as_ordered))
    output.answers().print(made)


def _show(action: BatchAction, targets: Sequence[Target], choice: Choice) -> None:
    if choice.as_json:
        found = [views.target(each) for each in targets]
        output.print_json({"action": action.value, "done": False, "batches": found})
    else:
        _show_table(action, targets)


def _show_table(action: BatchAction, targets: Sequence[Target]) -> None:
    output.answers().print(table(action, targets))


def _tell_decided(operation: OperationRow, items: Sequence[ItemRow], *, as_json: bool) -> None:
    left = [each for each in items if each.state is not ItemState.DONE]
    if as_json:
        done = {"action": operation.action.value, "done": not left, "operation": str(operation.id)}
        output.print_json({**done, "images": [views.item(each) for each in items]})
    else:
        catalog, count = operation.selection["catalog"], len(items) - len(left)
        verb = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected"}[Verdict(operation.parameters["verdict"])]
        output.answers().print(
            f"{output.plural(count, 'image')} {verb}, not applied yet:"
            f" `darkroom catalog decide {catalog} --saved --by NAME` does that, or Apply in the console.",
            markup=False,
        )
    for each in left:
        sku = "" if each.image is None else each.image.sku
        output.notes().print(f"left alone: {sku}: {each.detail or 'a node does it'}", markup=False)
    if left:
        raise typer.Exit(FAILED)


def _tell(action: BatchAction, operation_id: UUID, results: Sequence[ActionResult], *, as_json: bool) -> None:
    refused = [each for each in results if each.refusal is not None]
    if as_json:
        found = [result_as_json(action, each) for each in results]
        done = {"action": action.value, "done": not refused, "operation": str(operation_id)}
        output.print_json({**done, "batches": found})
    else:
        _say(action, [each for each in results if each.refusal is None])
    for each in refused:
        output.notes().print(f"left alone: {each.refusal}", markup=False)
    if refused:
        raise typer.Exit(FAILED)


def _say(action: BatchAction, results: Sequence[ActionResult]) -> None:
    console = output.answers()
    if action is BatchAction.CANCEL:
        effects = [each.effect.cancelled for each in results if each.effect.cancelled is not None]
        totals = [sum(getattr(each, name) for each in effects) for name in ("cancelled", "released", "draining")]
        console.print(cancelled(*totals))
        return
    for each in results:
        console.print(sentence(action, each), markup=False)


_ACTIVE = ("pending", "begun")
_JOBS = {BatchAction.RETRY: ("to render", "paid already")}
_CREDITS = {
    BatchAction.PAUSE: ("pending", "begun"),
    BatchAction.RESUME: ("pending", "begun"),
    BatchAction.REPRIORITISE: ("pending", "begun"),
    BatchAction.CANCEL: ("never held", "given back", "still paid"),
    BatchAction.RETRY: ("to pay",),
}


def table(action: BatchAction, targets: Sequence[Target]) -> Listing:
    """One row for each batch, and the sums below; the action names the column of credits."""
    numbers = (*_JOBS.get(action, _ACTIVE), *(f"credits {word}" for word in _CREDITS[action]))
    made = output.table(
        "name", "batch", "state", *numbers, numbers=numbers, whole=("batch",), details=("batch", "state")
    )
    for each in targets:
        made.add_row(each.name, output.short_id(each.batch_id), each.state.value, *_figures(action, [each]))
    made.add_row(f"{len(targets):,} in all", "", "", *_figures(action, targets), style="bold")
    return made


def result_as_json(action: BatchAction, result: ActionResult) -> dict[str, Any]:
    """Return the same with the outcome, and the state after it."""
    found = views.target(result.target) | {"done": result.refusal is None, "refusal": result.refusal}
    if result.refusal is None:
        found["state"] = LEADS_TO.get(action, result.target.state).value
    if result.effect.turn is not None:
        found |= {"priority": result.effect.turn.priority.value, "weight": result.effect.turn.weight}
    if result.effect.retried is not None:
        found["retried"] = asdict(result.effect.retried)
    if result.effect.cancelled is not None:
        found |= asdict(result.effect.cancelled)
    return found


def sentence(action: BatchAction, result: ActionResult) -> str:
    """Return the outcome for one batch."""
    reach, effect = result.target, result.effect
    waiting = f"{output.plural(reach.pending, 'pending job')}, {output.plural(reach.pending_credits, 'credit')}"
    match action:
        case BatchAction.PAUSE:
            begun = f" {output.plural(reach.begun, 'job')} in progress will be completed." if reach.begun else ""
            return f"batch {reach.batch_id} is paused: {waiting}, wait for `darkroom resume {reach.batch_id}`.{begun}"
        case BatchAction.RESUME:
            return f"batch {reach.batch_id} is resumed: {waiting}."
        case BatchAction.REPRIORITISE:
            assert effect.turn is not None
            turn = f"{effect.turn.priority}, weight {effect.turn.weight}"
            return f"batch {reach.batch_id} is {turn}, and was {reach.priority}, weight {reach.weight}: {waiting}."
        case BatchAction.CANCEL:
            assert effect.cancelled is not None
            return cancelled(effect.cancelled.cancelled, effect.cancelled.released, effect.cancelled.draining)
        case BatchAction.RETRY:
            assert effect.retried is not None
            done = effect.retried
            again = f"{output.plural(done.jobs, 'job')} again for {output.plural(done.credits, 'credit')}"
            return f"batch {reach.batch_id}: {again}, {output.plural(done.recalled, 'paid image')} free of charge."


def cancelled(jobs: int, released: int, draining: int) -> str:
    """Return the effect of a cancellation."""
    text = f"{output.plural(jobs, 'job')} cancelled, {output.plural(released, 'credit')} released."
    if draining:
        text += f" {output.plural(draining, 'job')} at the provider will still be paid for and downloaded."
    return text


def _figures(action: BatchAction, targets: Sequence[Target]) -> list[str]:
    if action is BatchAction.RETRY:
        found = [(each.failed, each.recalled, each.failed_credits) for each in targets]
        return [f"{sum(column):,}" for column in zip(*found, strict=True)]
    pending = sum(each.pending_credits for each in targets)
    unsent = sum(each.unsent_credits for each in targets)
    at_provider = sum(each.at_provider_credits for each in targets)
    credits_ = (pending, unsent, at_provider) if action is BatchAction.CANCEL else (pending, unsent + at_provider)
    jobs = (sum(each.pending for each in targets), sum(each.begun for each in targets))
    return [f"{figure:,}" for figure in (*jobs, *credits_)]
