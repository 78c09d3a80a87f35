"""What an action on batches reaches, and what came of it, as people and scripts read it."""

from collections.abc import Sequence
from typing import Any

from worker.batches.bulk_actions import ActionResult
from worker.batches.queries.bulk_actions import Target
from worker.cli import output
from worker.cli.listing import Listing
from worker.core.rules.batch_state import LEADS_TO, BatchAction

_JOBS = ("pending", "begun")
_CREDITS = {
    BatchAction.PAUSE: ("pending", "begun"),
    BatchAction.RESUME: ("pending", "begun"),
    BatchAction.REPRIORITISE: ("pending", "begun"),
    BatchAction.CANCEL: ("never held", "given back", "still paid"),
}


def table(action: BatchAction, targets: Sequence[Target]) -> Listing:
    """One row for each batch, and the sums below; credits under the words of the action."""
    numbers = (*_JOBS, *(f"credits {word}" for word in _CREDITS[action]))
    made = output.table("name", "batch", "state", *numbers, numbers=numbers, whole=("batch",), details=("batch",))
    for each in targets:
        made.add_row(each.name, output.short_id(each.batch_id), each.state.value, *_figures(action, [each]))
    made.add_row(f"{len(targets):,} in all", "", "", *_figures(action, targets), style="bold")
    return made


def reach_as_json(reach: Target) -> dict[str, Any]:
    """One batch and what there is to reach in it."""
    return {
        "batch": str(reach.batch_id),
        "name": reach.name,
        "owner": reach.owner,
        "state": reach.state.value,
        "priority": reach.priority,
        "weight": reach.weight,
        "pending": reach.pending,
        "begun": reach.begun,
        "unsent": reach.unsent,
        "credits": {
            "pending": reach.pending_credits,
            "unsent": reach.unsent_credits,
            "at_provider": reach.at_provider_credits,
        },
    }


def done_as_json(action: BatchAction, done: ActionResult) -> dict[str, Any]:
    """The same with what came of it, and the state to which it led."""
    found = reach_as_json(done.reach) | {"done": done.refusal is None, "refusal": done.refusal}
    if done.refusal is None:
        found["state"] = LEADS_TO.get(action, done.reach.state).value
    if done.turn is not None:
        found |= {"priority": done.turn.priority.value, "weight": done.turn.weight}
    if done.cancelled is not None:
        effect = done.cancelled
        found |= {"cancelled": effect.cancelled, "released": effect.released, "draining": effect.draining}
    return found


def sentence(action: BatchAction, done: ActionResult) -> str:
    """Return what came of one batch."""
    reach = done.reach
    waiting = f"{output.plural(reach.pending, 'pending job')}, {output.plural(reach.pending_credits, 'credit')}"
    match action:
        case BatchAction.PAUSE:
            begun = f" What has begun goes on: {output.plural(reach.begun, 'job')}." if reach.begun else ""
            return f"batch {reach.batch_id} is paused: {waiting}, wait for `darkroom resume {reach.batch_id}`.{begun}"
        case BatchAction.RESUME:
            return f"batch {reach.batch_id} goes on: {waiting}."
        case BatchAction.REPRIORITISE:
            assert done.turn is not None
            turn = f"{done.turn.priority}, weight {done.turn.weight}"
            return f"batch {reach.batch_id} is {turn}, and was {reach.priority}, weight {reach.weight}: {waiting}."
        case BatchAction.CANCEL:
            assert done.cancelled is not None
            return cancelled(done.cancelled.cancelled, done.cancelled.released, done.cancelled.draining)


def cancelled(jobs: int, released: int, draining: int) -> str:
    """Return what a cancellation did."""
    text = f"{output.plural(jobs, 'job')} cancelled, {output.plural(released, 'credit')} released."
    if draining:
        text += f" {output.plural(draining, 'job')} at the provider will still be paid for and downloaded."
    return text


def _figures(action: BatchAction, targets: Sequence[Target]) -> list[str]:
    pending = sum(each.pending_credits for each in targets)
    unsent = sum(each.unsent_credits for each in targets)
    at_provider = sum(each.at_provider_credits for each in targets)
    credits_ = (pending, unsent, at_provider) if action is BatchAction.CANCEL else (pending, unsent + at_provider)
    jobs = (sum(each.pending for each in targets), sum(each.begun for each in targets))
    return [f"{figure:,}" for figure in (*jobs, *credits_)]
