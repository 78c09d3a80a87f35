"""Bulk operations as JSON, for commands and the HTTP API alike."""

from typing import Any

from worker.batches.queries.bulk_operations import ItemRow, OperationRow, Target


def operation(found: OperationRow) -> dict[str, Any]:
    """Return an operation: what was meant, by whom, and how far it is."""
    return {
        "id": str(found.id),
        "action": found.action.value,
        "state": found.state.value,
        "filter": dict(found.selection),
        "priority": found.parameters["priority"],
        "weight": found.parameters["weight"],
        "code": found.parameters["code"],
        "actor": found.actor,
        "reason": found.reason,
        "created_at": found.created_at.isoformat(),
        "started_at": None if found.started_at is None else found.started_at.isoformat(),
        "ended_at": None if found.ended_at is None else found.ended_at.isoformat(),
        "batches": found.items,
        "waiting": found.waiting,
        "done": found.done,
        "skipped": found.skipped,
        "failed": found.failed,
        "jobs": found.jobs,
        "credits": found.credits,
    }


def item(found: ItemRow) -> dict[str, Any]:
    """Return one batch of an operation: what the preview showed, and what came of it."""
    effect = None if found.effect is None else dict(found.effect)
    return {
        "position": found.position,
        "state": found.state.value,
        "detail": found.detail,
        "seen": target(found.target),
        "effect": effect,
    }


def target(found: Target) -> dict[str, Any]:
    """Return a batch and what an action would reach in it."""
    return {
        "batch": str(found.batch_id),
        "name": found.name,
        "owner": found.owner,
        "state": found.state.value,
        "priority": found.priority,
        "weight": found.weight,
        "pending": found.pending,
        "begun": found.begun,
        "unsent": found.unsent,
        "failed": found.failed,
        "recalled": found.recalled,
        "credits": {
            "pending": found.pending_credits,
            "unsent": found.unsent_credits,
            "at_provider": found.at_provider_credits,
            "failed": found.failed_credits,
        },
    }
