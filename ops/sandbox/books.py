"""What the sandbox counted: requests, polls, uploads, downloads; and the books that it can show of them."""

from collections import Counter
from typing import Any

from ops.sandbox.choices import Kind, Status
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


class Counting:
    """The counts of the whole life of the sandbox; what is new is handed to the journal now and then."""

    def __init__(self) -> None:
        self._saved = Counts()
        self._fresh = Counts()
        self._has_fresh = False

    @property
    def total(self) -> Counts:
        """Everything so far."""
        if self._has_fresh:
            return _sum(self._saved, self._fresh)
        return self._saved

    def answered(self, kind: Kind, how: str) -> None:
        """A request of this kind ended with this HTTP status, or with what happened instead of one."""
        self._fresh.requests[kind, how] += 1
        self._has_fresh = True

    def polled(self, task: Task, now: float) -> None:
        """Count an answer that showed the state of a generation."""
        self._fresh.polls[task.id] += 1
        if task.has_ended(now):
            self._fresh.first_terminal_poll.setdefault(task.id, now)

    def uploaded(self, sha256: str) -> None:
        """These bytes came in as an upload."""
        self._fresh.uploads[sha256] += 1

    def downloaded(self, task: Task) -> None:
        """Count a download of the result."""
        self._fresh.downloads[task.id] += 1

    def replayed(self) -> None:
        """A known Idempotency-Key was answered with what it stands for."""
        self._fresh.replays += 1

    def conflicted(self) -> None:
        """A known Idempotency-Key was refused."""
        self._fresh.conflicts += 1

    def unsaved(self) -> dict[str, Any] | None:
        """What was counted since the last call, which counts as saved now; None if that is nothing."""
        if not self._has_fresh:
            return None
        fresh = self._fresh.as_json()
        self._saved.add(self._fresh)
        self._fresh, self._has_fresh = Counts(), False
        return fresh

    def restore(self, counts: Counts) -> None:
        """Counts that an earlier process had saved."""
        self._saved.add(counts)


def _sum(one: Counts, other: Counts) -> Counts:
    total = Counts()
    total.add(one)
    total.add(other)
    return total
