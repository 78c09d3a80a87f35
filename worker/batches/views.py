"""Batches, jobs, bulk operations and faults as JSON, for commands with --json and the HTTP API."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from worker.batches.queries.bulk_operations import ImageTarget, ItemRow, OperationRow, Target
from worker.batches.queries.overview import Overview
from worker.batches.queries.results import Outcome, RefusedLine
from worker.core.rules.fault import Fault


def batch(found: Overview) -> dict[str, Any]:
    """Return where the batch stands."""
    row = found.batch
    return {
        "batch": str(row.id),
        "name": row.name,
        "state": found.state,
        "done": found.is_done,
        "jobs": {state.value: count for state, count in found.jobs.items()},
        "credits": {
            "cap": row.credit_cap,
            "held": found.held,
            "reserved": found.reserved,
            "spent": found.spent,
        },
        "not_downloaded": _not_downloaded(found),
        "not_as_ordered": [asdict(each) for each in found.not_as_ordered],
        "waiting_for": _waiting_for(found),
        "owner": row.owner,
        "purpose": row.purpose,
        "priority": row.priority,
        "pool": row.pool,
        "deadline": instant(row.deadline_at),
        "token": row.token,
        "size": row.size,
        "created_at": row.created_at.isoformat(),
    }


def instant(at: datetime | None) -> str | None:
    """Return an instant in ISO 8601."""
    return None if at is None else at.isoformat()


def _not_downloaded(found: Overview) -> dict[str, Any]:
    awaited = found.not_downloaded
    return {
        "count": awaited.count,
        "since": instant(awaited.since),
        "failing": awaited.failing,
        "error": awaited.error,
        "next_try": instant(awaited.next_at),
        "next_step": found.download_step or None,
    }


def _waiting_for(found: Overview) -> dict[str, str] | None:
    if found.obstacle is None:
        return None
    return {"reason": found.obstacle.reason, "next_step": found.obstacle.next_step}


def fault(found: Fault) -> dict[str, Any]:
    """Return one fault."""
    return {
        "line": found.line,
        "key": found.key,
        "field": found.field,
        "reason": found.reason,
        "permitted": list(found.permitted),
    }


def job(found: Outcome, *, file: str | None) -> dict[str, Any]:
    """Return the line of one job; ``file`` is where its image is found."""
    image = found.result
    return {
        "line": found.line,
        "key": found.key,
        "state": found.state.value,
        "file": file,
        "stored_elsewhere": None if image is None else found.is_stored_elsewhere,
        "sha256": None if image is None else image.sha256,
        "bytes": None if image is None else image.size_bytes,
        "mime_type": None if image is None else image.mime_type,
        "width": None if image is None else image.width,
        "height": None if image is None else image.height,
        "as_ordered": None if image is None else not found.not_as_ordered,
        "not_as_ordered": [each.value for each in found.not_as_ordered],
        "credits": {
            "held": found.held,
            "reserved": found.reserved,
            "final": found.final,
            "spent": found.spent,
        },
        "provider_id": found.provider_id,
        "generations": found.generations,
        "reference": _references(found),
        "error": _error(found),
        "model": found.model,
        "prompt": found.prompt,
        "params": found.params,
        "metadata": found.metadata,
    }


def _references(found: Outcome) -> str | list[str] | None:
    """Return what a manifest would say: nothing, one name, or a list."""
    names = [f"sha256:{sha256}" for sha256 in found.references]
    return names if len(names) > 1 else next(iter(names), None)


def _error(found: Outcome) -> dict[str, Any] | None:
    if found.error_code is None:
        return None
    return {"code": found.error_code, "message": found.error_message, "request_id": found.request_id}


def refused_line(found: RefusedLine) -> dict[str, Any]:
    """Return a line that was not taken, with the names of a job's."""
    first = found.faults[0]
    nothing = dict.fromkeys(("file", "stored_elsewhere", "sha256", "bytes", "mime_type", "width", "height"))
    return {
        "line": found.line,
        "key": first.key,
        "state": "refused",
        **nothing,
        "as_ordered": None,
        "not_as_ordered": [],
        "credits": {"held": None, "reserved": None, "final": None, "spent": 0},
        "provider_id": None,
        "generations": 0,
        "reference": None,
        "error": {
            "code": "invalid_line",
            "message": "; ".join(f"{each.field}: {each.reason}" for each in found.faults),
            "request_id": None,
            "faults": [fault(each) for each in found.faults],
        },
        "model": None,
        "prompt": None,
        "params": None,
        "metadata": None,
    }


_CSV = ("line", "key", "state", "file", "sha256", "bytes", "mime_type", "width", "height")
CSV_COLUMNS = (*_CSV, "credits", "error_code", "error_message", "prompt", "metadata")


def csv_values(line: Mapping[str, Any]) -> list[Any]:
    """Return the cells of one line for these columns."""
    error = line["error"] or {}
    metadata = json.dumps(line["metadata"], ensure_ascii=False) if line["metadata"] else ""
    values = [line[name] for name in _CSV]
    return [*values, line["credits"]["spent"], error.get("code"), error.get("message"), line["prompt"], metadata]


def operation(found: OperationRow) -> dict[str, Any]:
    """Return an operation: its filter, author and progress."""
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
    """Return one item of an operation: the preview, and the outcome."""
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
    """Return a batch and the target of an action in it."""
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
