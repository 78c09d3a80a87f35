"""Events are relayed to the hooks that are subscribed, and delivered again and again until they are taken."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from worker.core import tracing
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules import events
from worker.core.rules.events import EventType
from worker.core.rules.setting_values import HookPolicy
from worker.hooks import calls
from worker.hooks.calls import Answer, NotTaken
from worker.hooks.queries import deliveries, hooks
from worker.hooks.queries.deliveries import Due, Leased, Tried, Unrelayed
from worker.hooks.rules import hook as rules
from worker.hooks.rules.hook import HookKind
from worker.storage.fetch.addresses import AddressPolicy

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=2)
"""How long one process has a hook to itself from the beginning of a try; longer than any try takes."""
REST = timedelta(seconds=5)
"""How long a hook is left alone after a failure, however much is owed to it."""
TURN = timedelta(seconds=30)
"""How long a hook that takes what it is sent is served before others that wait for a sender."""
TROUBLED_AT_ONCE = 4
"""Hooks that fail or are slow to which all nodes together send at once."""
RELAYED_AT_ONCE = 500


class Pool(Protocol):
    """Threads that send."""

    def take(self, do: Callable[[], None], leave: Callable[[], None]) -> None:
        """Have ``do`` done soon, or ``leave`` when there is no room."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """What sending takes; safe to share between threads."""

    database: Database
    policy: HookPolicy
    url: Callable[[str], str]
    """The address of a stored file."""
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    """A random number from 0 to 1."""
    new_id: Callable[[], UUID]
    pool: Pool
    seconds: Callable[[], float] = field(default=time.monotonic)
    """Measures how long a try took."""


def relay(database: Database, *, now: datetime) -> int:
    """Write the deliveries of new events; return how many events had deliveries.

    Doubts of one batch that came together become one event.
    """
    relayed = 0
    while True:
        with database.transaction() as tx:
            found = deliveries.lock_unrelayed(tx, limit=RELAYED_AT_ONCE)
            if not found:
                return relayed
            merged = _merge(found)
            for event_id, doubts in merged.items():
                deliveries.set_data(tx, event_id, events.merged([each.data for each in doubts]))
            parts = {each.id for doubts in merged.values() for each in doubts[1:]}
            kept = [each.id for each in found if each.id not in parts]
            deliveries.relay(tx, kept, sorted(parts), now=now)
        relayed += len(kept)


def _merge(found: Sequence[Unrelayed]) -> dict[UUID, list[Unrelayed]]:
    """Return, by the event that stands for them, the doubts of a batch where there are several."""
    by_subject: dict[str, list[Unrelayed]] = defaultdict(list)
    for each in found:
        if each.type == EventType.JOB_IN_DOUBT:
            by_subject[each.subject].append(each)
    return {doubts[0].id: doubts for doubts in by_subject.values() if len(doubts) > 1}


def send_due(sender: Sender) -> int:
    """Have every hook served that has something due, each by one thread of the pool; give how many were begun.

    What finds no room in the pool is begun the next time, by this node or another.
    """
    begun, has_room = 0, True

    def leave(leased: Leased) -> None:
        nonlocal has_room
        has_room = False
        _release(sender, leased, rest_until=None)

    while has_room:
        with sender.database.transaction() as tx:
            leased = deliveries.lease(tx, now=sender.clock(), lease=LEASE, lane=TROUBLED_AT_ONCE)
        if leased is None:
            break
        sender.pool.take(partial(_serve, sender, leased), partial(leave, leased))
        begun += has_room
    return begun


def _serve(sender: Sender, leased: Leased) -> None:
    """Send what is due to one hook, what is due longest first, until a try fails or others have waited long enough."""
    end, rest_until = sender.seconds() + TURN.total_seconds(), None
    while True:
        with sender.database.transaction() as tx:
            leased, due = deliveries.claim_next(tx, leased, now=sender.clock(), lease=LEASE)
        if due is None:
            break
        if not _send(sender, due):
            rest_until = sender.clock() + REST
            break
        if sender.seconds() >= end:
            break
    _release(sender, leased, rest_until=rest_until)


def _release(sender: Sender, leased: Leased, *, rest_until: datetime | None) -> None:
    with sender.database.transaction() as tx:
        deliveries.release(tx, leased, rest_until=rest_until)


def _send(sender: Sender, due: Due) -> bool:
    """Try once, in a span of its own."""
    batch = due.data.get("batch")
    named = {"darkroom.step": "deliver", "darkroom.hook.id": str(due.hook_id), "darkroom.event.id": str(due.event_id)}
    if isinstance(batch, dict):
        named["darkroom.batch.id"] = str(batch.get("id"))
    with tracing.begun(f"deliver {due.type}", named) as span:
        if tracing.is_on() and "darkroom.batch.id" in named:
            with sender.database.transaction() as tx:
                span.link(deliveries.producer_span(tx, UUID(named["darkroom.batch.id"])))
        is_taken = _try(sender, due)
        if not is_taken:
            span.fail("not_taken")
        return is_taken


def _try(sender: Sender, due: Due) -> bool:
    """Try once, with nothing open in the database meanwhile; return whether it was taken.

    An event may arrive twice, when a process dies between sending and writing that down; it has the same id then.
    """
    began = sender.seconds()
    try:
        answer = _call(sender, due)
    except NotTaken as error:
        tried = Tried(
            took_s=sender.seconds() - began, status=error.answer.status, response=error.answer.head, error=str(error)
        )
        _record_failure(sender, due, tried)
        return False
    tried = Tried(took_s=sender.seconds() - began, status=answer.status, response=answer.head)
    with sender.database.transaction() as tx:
        deliveries.settle(tx, due, tried, now=sender.clock(), again_at=None)
    log.info("hook.delivered", hook=str(due.hook_id), event_id=str(due.event_id), type=due.type)
    return True


def _call(sender: Sender, due: Due) -> Answer:
    content = calls.event_body(due, sender.url)
    if due.kind is HookKind.COMMAND:
        calls.command(_words(sender.policy, due.target), content, calls.event_facts(due))
        return Answer()
    now = sender.clock()
    secrets = rules.signing_secrets(due.secret or "", rotated_at=due.rotated_at, now=now)
    headers = calls.event_headers(due, content, secrets=secrets, now=now)
    with tracing.inside("POST", {"http.request.method": "POST"}, kind="client") as span:
        if span.traceparent is not None:
            headers[TRACEPARENT] = span.traceparent
        answer = calls.post(due.target, content, headers, allow=AddressPolicy.for_hooks(sender.policy.hosts))
        if answer.status is not None:
            span.set({"http.response.status_code": answer.status})
        return answer


def _words(policy: HookPolicy, name: str) -> tuple[str, ...]:
    """Return the command of this name; the row of a hook can only choose among those of the node's settings."""
    if name not in policy.commands:
        raise NotTaken(
            f"no command was run: the settings of this node have none of the name {name!r} (DARKROOM_HOOK_COMMANDS)"
        )
    return policy.commands[name]


def _record_failure(sender: Sender, due: Due, tried: Tried) -> None:
    now = sender.clock()
    wait = rules.wait_after(due.failures + 1, sender.jitter())
    again_at = None if wait is None else now + wait
    reason = rules.disabled_reason(status=tried.status, failing_since=due.failing_since or now, now=now)
    with sender.database.transaction() as tx:
        deliveries.settle(tx, due, tried, now=now, again_at=again_at)
        if reason is not None:
            changes.sign(tx, Author(actor=ACTOR, reason=reason, now=now, new_id=sender.new_id))
            hooks.disable(tx, due.hook_id, now=now, reason=reason)
    where = {"hook": str(due.hook_id), "event_id": str(due.event_id), "error": tried.error}
    if reason is not None:
        log.error("hook.disabled", **where, reason=reason)
    elif again_at is None:
        log.error("hook.given_up", **where, attempts=due.attempts)
    else:
        log.warning("hook.not_taken", **where, attempts=due.attempts, due_at=again_at)


TRACEPARENT = "traceparent"
"""The header that names the span of the delivery, where spans are taken; it is not signed."""
ACTOR = "darkroom"
"""Who switches a hook off that fails."""
