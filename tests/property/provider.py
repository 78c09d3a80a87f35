"""The oracle's world: a provider in memory, which does with each request what it is told to.

It stands in the client's place, so that tens of thousands of calls take no time, and so that what the provider did is
known to the oracle for certain, whatever Darkroom was told about it.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from worker.provider.wire import GenerationStatus, GenerationView, ModelView

PRICE = 4
THROTTLED_FOR = timedelta(seconds=5)


class Crash(BaseException):
    """The caller is gone."""


class Fate(StrEnum):
    """What happens to the next request; some are for creates, some for gets, some for both."""

    OK = "ok"
    CHEAPER = "cheaper"
    DEARER = "dearer"
    STALL = "stall"
    LOST_AFTER = "lost_after"
    LOST_BEFORE = "lost_before"
    CRASH_AFTER = "crash_after"
    CRASH_BEFORE = "crash_before"
    REFUSED = "refused"
    BROKE = "broke"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    MISSING = "missing"
    SUCCEED = "succeed"
    SUCCEED_DEARER = "succeed_dearer"
    FAIL_FREE = "fail_free"
    FAIL_CHARGED = "fail_charged"
    FAIL_BROKE = "fail_broke"


CREATES = (
    Fate.OK,
    Fate.CHEAPER,
    Fate.DEARER,
    Fate.STALL,
    Fate.LOST_AFTER,
    Fate.LOST_BEFORE,
    Fate.CRASH_AFTER,
    Fate.CRASH_BEFORE,
    Fate.REFUSED,
    Fate.BROKE,
    Fate.CONFLICT,
    Fate.UNAVAILABLE,
    Fate.THROTTLED,
)
GETS = (
    Fate.OK,
    Fate.CRASH_AFTER,
    Fate.BROKE,
    Fate.UNAVAILABLE,
    Fate.THROTTLED,
    Fate.MISSING,
    Fate.SUCCEED,
    Fate.SUCCEED_DEARER,
    Fate.FAIL_FREE,
    Fate.FAIL_CHARGED,
    Fate.FAIL_BROKE,
)

_ARRIVES = {Fate.OK, Fate.CHEAPER, Fate.DEARER, Fate.STALL, Fate.LOST_AFTER, Fate.CRASH_AFTER}
_ERRORS: dict[Fate, ProviderError] = {
    Fate.LOST_AFTER: OutcomeUnknown("connection_lost", "no answer"),
    Fate.LOST_BEFORE: OutcomeUnknown("connection_lost", "no answer"),
    Fate.REFUSED: Refused("validation_failed", "no", 400),
    Fate.BROKE: AccountPaused(PauseReason.INSUFFICIENT_CREDITS, "no credits", 402),
    Fate.CONFLICT: Conflict("idempotency_conflict", "taken", 409),
    Fate.UNAVAILABLE: Unavailable("connect_failed", "nothing was sent"),
    Fate.THROTTLED: Throttled(THROTTLED_FOR),
    Fate.MISSING: NotFound("not_found", "unknown", 404),
}
_RESERVED = {Fate.CHEAPER: PRICE - 1, Fate.DEARER: PRICE + 1}


@dataclass(kw_only=True)
class Task:
    """One generation as the provider has it."""

    id: str
    key: str
    body: bytes
    reserved: int
    final: int = 0
    status: GenerationStatus = GenerationStatus.PROCESSING
    code: str | None = None


class World:
    """Tasks by id and by key; ``draw`` gives what happens to a request, of what can, and ``asked`` counts them."""

    def __init__(self) -> None:
        self.fate = Fate.OK
        self.draw: Callable[[Sequence[Fate]], Fate] = lambda _: self.fate
        self.asked = 0
        self.tasks: dict[str, Task] = {}
        self.by_key: dict[str, Task] = {}
        self.stall: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def create(self, *, body: bytes, idempotency_key: str) -> GenerationView:
        """Make a task, or not, and answer, or not."""
        fate = self._begin(CREATES)
        if fate in _ARRIVES:
            self._arrive(idempotency_key, body, _RESERVED.get(fate, PRICE))
        if fate is Fate.STALL:
            self.stall()
        self._fail(fate)
        return _view(self.by_key[idempotency_key])

    def get(self, provider_id: str) -> GenerationView:
        """Say how a task stands; a fate that ends it ends it once."""
        fate, task = self._begin(GETS), self.tasks.get(provider_id)
        if fate in _ERRORS or fate in {Fate.CRASH_AFTER, Fate.CRASH_BEFORE}:
            self._fail(fate)
        if task is None:
            raise NotFound("not_found", "unknown", 404)
        with self._lock:
            _end(task, fate)
        return _view(task)

    def credits(self) -> int:
        """Say that there is enough."""
        return 1_000_000

    def models(self) -> tuple[ModelView, ...]:
        """Say that the model is offered."""
        listed = ModelView(
            id="qwen-image", base_credits=PRICE, billing_type="FIXED", api_status="available", max_prompt_length=5_000
        )
        return (listed,)

    def _begin(self, possible: Sequence[Fate]) -> Fate:
        with self._lock:
            self.asked += 1
            return self.draw(possible)

    def _arrive(self, key: str, body: bytes, reserved: int) -> None:
        with self._lock:
            if key not in self.by_key:
                task = Task(id=f"task_{key}", key=key, body=body, reserved=reserved)
                self.by_key[key] = self.tasks[task.id] = task
            assert self.by_key[key].body == body, "a key is only ever sent with the same bytes"

    def _fail(self, fate: Fate) -> None:
        if fate in {Fate.CRASH_AFTER, Fate.CRASH_BEFORE}:
            raise Crash
        if fate in _ERRORS:
            raise _ERRORS[fate]


def _end(task: Task, fate: Fate) -> None:
    if task.status.is_terminal:
        return
    match fate:
        case Fate.SUCCEED | Fate.SUCCEED_DEARER:
            task.status = GenerationStatus.SUCCEEDED
            task.final = task.reserved + (fate is Fate.SUCCEED_DEARER)
        case Fate.FAIL_FREE | Fate.FAIL_CHARGED | Fate.FAIL_BROKE:
            task.status = GenerationStatus.FAILED
            task.final = task.reserved if fate is Fate.FAIL_CHARGED else 0
            task.code = "insufficient_credits" if fate is Fate.FAIL_BROKE else "generation_failed"


def _view(task: Task) -> GenerationView:
    is_ended = task.status.is_terminal
    return GenerationView(
        id=task.id,
        status=task.status,
        model="qwen-image",
        reserved_credits=task.reserved,
        final_credits=task.final if is_ended else None,
        result_urls=("https://results.example/1",) if task.status is GenerationStatus.SUCCEEDED else (),
        error_code=task.code,
        error_message=None,
        http_status=200,
        request_id=None,
    )
