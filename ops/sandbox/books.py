"""What the sandbox counted: requests, polls, uploads, downloads; and the books that it can show of them."""

from collections import Counter
from typing import Any

from ops.sandbox.choices import Status
from ops.sandbox.tasks import Task, timestamp


class Counts:
    """Everything that is counted and does not follow from the tasks."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.polls: Counter[str] = Counter()
        self.first_terminal_poll: dict[str, float] = {}
        self.uploads: Counter[str] = Counter()
        self.downloads: Counter[str] = Counter()
        self.replays = 0
        self.conflicts = 0

    def add(self, other: "Counts") -> None:
        """The other's counts are in these."""
        self.requests.update(other.requests)
        self.polls.update(other.polls)
        self.first_terminal_poll = {**other.first_terminal_poll, **self.first_terminal_poll}
        self.uploads.update(other.uploads)
        self.downloads.update(other.downloads)
        self.replays += other.replays
        self.conflicts += other.conflicts

    def as_json(self) -> dict[str, Any]:
        """All counts, for the journal."""
        requests = [[kind, how, count] for (kind, how), count in self.requests.items()]
        return {**vars(self), "requests": requests}


def counts_from(data: dict[str, Any]) -> Counts:
    """The counts that `as_json` wrote."""
    counts = Counts()
    counts.requests = Counter({(kind, how): count for kind, how, count in data["requests"]})
    counts.polls = Counter(data["polls"])
    counts.first_terminal_poll = dict(data["first_terminal_poll"])
    counts.uploads = Counter(data["uploads"])
    counts.downloads = Counter(data["downloads"])
    counts.replays = data["replays"]
    counts.conflicts = data["conflicts"]
    return counts


def request_summary(counts: Counts) -> dict[str, dict[str, int]]:
    """Per kind of request, how often it ended with each HTTP status, or with what happened instead of one."""
    summary: dict[str, dict[str, int]] = {}
    for (kind, how), count in sorted(counts.requests.items()):
        summary.setdefault(kind, {"total": 0})[how] = count
        summary[kind]["total"] += count
    return summary


def task_row(task: Task, counts: Counts, now: float) -> dict[str, object]:
    """One generation as the books know it."""
    seen = counts.first_terminal_poll.get(task.id)
    ended_at = task.ends_at if task.has_ended(now) else None
    return {
        "id": task.id,
        "key": task.idempotency_key,
        "client_request_id": task.client_request_id,
        "sha256": task.body_sha256,
        "status": task.status(now),
        "error": task.error if ended_at else None,
        "reserved": task.reserved,
        "final": task.final if ended_at else None,
        "polls": counts.polls[task.id],
        "downloads": counts.downloads[task.id],
        "created_at": timestamp(task.created_at),
        "ended_at": timestamp(ended_at) if ended_at else None,
        "detection_lag_s": None if seen is None or ended_at is None else round(seen - ended_at, 4),
    }


def task_summary(tasks: dict[str, Task], now: float) -> dict[str, int]:
    """How many generations are in each state, and in all."""
    by_status = Counter(task.status(now) for task in tasks.values())
    return {"total": len(tasks), **{status: by_status[status] for status in Status}}


def key_summary(tasks: dict[str, Task]) -> dict[str, object]:
    """How many generations each Idempotency-Key has; more than one is a double order."""
    per_key = tasks_per_key(tasks)
    several = {key: count for key, count in per_key.items() if count > 1}
    without = sum(task.idempotency_key is None for task in tasks.values())
    return {
        "distinct": len(per_key),
        "max_tasks": max(per_key.values(), default=0),
        "with_several": several,
        "tasks_without_key": without,
    }


def tasks_per_key(tasks: dict[str, Task]) -> Counter[str]:
    """The number of generations under each Idempotency-Key."""
    return Counter(task.idempotency_key for task in tasks.values() if task.idempotency_key is not None)


def poll_summary(tasks: dict[str, Task], counts: Counts) -> dict[str, object]:
    """Polls per generation and the lag from an end to the first poll that showed it."""
    lags = sorted(
        seen - task.ends_at
        for id_, seen in counts.first_terminal_poll.items()
        if (task := tasks.get(id_)) and task.ends_at is not None
    )
    polls = sorted(counts.polls.values())
    return {
        "total": sum(polls),
        "per_task": {"mean": _mean(polls), "max": polls[-1] if polls else 0},
        "histogram": {str(n): count for n, count in sorted(Counter(polls).items())},
        "detection_lag_s": {"mean": _mean(lags), "p50": _quantile(lags, 0.5), "p95": _quantile(lags, 0.95)},
    }


def _mean(values: list[int] | list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _quantile(values: list[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(share * len(values)))], 4) if values else None
