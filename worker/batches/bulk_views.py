"""Bulk operations as JSON, for commands and the HTTP API alike."""

from typing import Any

from worker.batches.queries.bulk_operations import ImageTarget, ItemRow, OperationRow, Target


def operation(found: OperationRow) -> dict[str, Any]:
    """Return an operation: what was meant, by whom, and how far it is."""
    return {
        "id": str(found.id),
        "action": found.action.value,
        "state": found.state.value,
        "filter": dict(found.selection),
        "priority": found.parameters.get("priority"),
        "weight": found.parameters.get("weight"),
        "code": found.parameters.get("code"),
        "verdict": found.parameters.get("verdict"),
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
    """Return one batch or image of an operation: what the preview showed, and what came of it."""
    effect = None if found.effect is None else dict(found.effect)
    return {
        "position": found.position,
        "state": found.state.value,
        "detail": found.detail,
        "seen": _seen(found),
        "effect": effect,
    }


def _seen(found: ItemRow) -> dict[str, Any]:
    if found.target is not None:
        return target(found.target)
    assert found.image is not None
    return image(found.image)


def image(found: ImageTarget) -> dict[str, Any]:
    """Return an image that is decided on."""
    return {
        "image": str(found.render_id),
        "sku": found.sku,
        "catalog": found.catalog,
        "batch": str(found.batch_id),
        "job": str(found.job_id),
        "sha256": found.sha256,
        "not_as_ordered": list(found.not_as_ordered),
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
