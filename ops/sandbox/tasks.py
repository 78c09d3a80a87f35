"""What a generation is, and what it looks like at a given moment."""

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from ops.sandbox.choices import FailedError, Status, UrlsField
from ops.sandbox.settings import Settings

NO_CREDITS = "insufficient_credits"
GENERATION_FAILED = "generation_failed"
MODERATED = "The content was refused."
"""The words beside whatever code says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One generation: everything about it is decided at its creation, its state follows from the clock.

    Times are seconds since 1970; `ends_at` is None for one that never ends.
    `held` is what the wallet sets aside.
    """

    id: str
    account: str
    key_id: str
    model: str
    prompt: str
    width: int
    height: int
    format: str
    reference: str | None
    client_request_id: str | None
    idempotency_key: str | None
    fingerprint: str
    body_sha256: str
    reserved: int
    held: int
    final: int
    error: str | None
    failed_at_create: bool
    created_at: float
    started_at: float
    ends_at: float | None
    refund_at: float | None

    @property
    def file_name(self) -> str:
        """The name of its result."""
        return f"{self.id}.{'png' if self.format == 'png' else 'jpg'}"

    def has_ended(self, now: float) -> bool:
        """Whether it is terminal."""
        return self.ends_at is not None and now >= self.ends_at

    def status(self, now: float) -> Status:
        """Its state at this moment."""
        if self.has_ended(now):
            return Status.FAILED if self.error else Status.SUCCEEDED
        return Status.PROCESSING if now >= self.started_at else Status.QUEUED

    def as_json(self) -> dict[str, object]:
        """All of it, for the journal."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = tuple(f.name for f in fields(Task))


def created_view(task: Task, settings: Settings) -> dict[str, object]:
    """What the create answered: queued, unless it failed on the spot."""
    if task.failed_at_create:
        return _failed(task, _frame(task, Status.FAILED, task.created_at), Settings())
    frame = _frame(task, Status.QUEUED, task.created_at)
    if settings.reserved_shown:
        frame["reserved_credits"] = json.loads(settings.reserved_shown)
    return frame


def view(task: Task, now: float, *, base_url: str, settings: Settings) -> dict[str, object]:
    """What GET answers now: exactly the documented fields."""
    match task.status(now):
        case Status.QUEUED:
            return _frame(task, Status.QUEUED, task.created_at)
        case Status.PROCESSING:
            return _frame(task, Status.PROCESSING, task.started_at)
        case Status.SUCCEEDED:
            return _succeeded(task, base_url, settings)
        case Status.FAILED:
            return _failed(task, _frame(task, Status.FAILED, task.ends_at or now), settings)


def timestamp(at: float) -> str:
    """ISO 8601 in UTC with milliseconds, as the documented examples have it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _frame(task: Task, status: Status, updated_at: float) -> dict[str, object]:
    return {
        "id": task.id,
        "status": status,
        "model": task.model,
        "reserved_credits": task.reserved,
        "final_credits": 0,
        "created_at": timestamp(task.created_at),
        "updated_at": timestamp(updated_at),
        "result": None,
        "error": None,
    }


def _succeeded(task: Task, base_url: str, settings: Settings) -> dict[str, object]:
    url = f"{base_url}/sandbox/results/{task.file_name}"
    result: dict[str, object] = {"primary_url": url}
    if settings.urls_field is not UrlsField.MISSING:
        result["urls"] = [url] if settings.urls_field is UrlsField.PRESENT else []
    frame = _frame(task, Status.SUCCEEDED, task.ends_at or task.created_at)
    return {**frame, "final_credits": task.final, "result": result}


def _failed(task: Task, frame: dict[str, object], settings: Settings) -> dict[str, object]:
    error = {"code": task.error, "message": _MESSAGES.get(task.error or "", MODERATED)}
    shown = error if settings.failed_error is FailedError.OBJECT else None
    return {**frame, "final_credits": task.final, "error": shown}


_MESSAGES = {
    NO_CREDITS: "The account does not have enough credits.",
    GENERATION_FAILED: "The generation failed.",
}
