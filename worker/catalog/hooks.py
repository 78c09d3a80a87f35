"""Hooks are told what went live: from the outbox, in order, again and again until they have taken it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import structlog

from worker.catalog import export, hook_calls, hook_message
from worker.catalog.hook_calls import NotTaken
from worker.catalog.queries import hooks
from worker.catalog.queries.hooks import Due
from worker.catalog.rules.hook import HookKind
from worker.core.db.session import Database
from worker.storage.store import Store

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=5)
"""How long one process has a message to itself; longer than any try takes."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=7)
"""Age at which a message is no longer tried, so that those behind it get their turn."""
SHORTEST_SECRET = 16


class BadHook(ValueError):
    """A hook cannot be like that."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one round of sending did."""

    delivered: int = 0
    postponed: int = 0
    given_up: int = 0


def check(kind: HookKind, target: str, secret: str | None) -> None:
    """Raise BadHook when nothing can ever be sent like that."""
    if kind is HookKind.COMMAND:
        _check_command(target)
        return
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadHook(f"{target!r} is not an address: it must begin with https:// or http://")
    if parts.username is not None:
        raise BadHook("the address names a user: a POST is signed, and its receiver checks that")
    if not parts.hostname.isascii():
        raise BadHook("the address has a host that is not ASCII: write it as it is looked up, xn--...")
    if secret is None or len(secret) < SHORTEST_SECRET:
        raise BadHook(f"a POST is signed: its secret must have at least {SHORTEST_SECRET} characters")


def _check_command(line: str) -> None:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadHook(f"the command {line!r} cannot be read: {error}") from error
    if not words:
        raise BadHook("the command is empty")


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after so many tries: 30 s, 1 min, 2 min ... up to an hour."""
    doublings = max(0, min(attempts - 1, 20))
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def send_due(database: Database, store: Store, *, clock: Callable[[], datetime], limit: int = 100) -> Sent:
    """Send what is due, one message after the other; nothing is open in the database while a receiver is waited for.

    Each message has its own time: a round of slow receivers may take long, and a lease counts from its beginning. A
    message may arrive twice, when a process dies between sending and writing that down; it has the same id then.
    """
    counts = {"delivered": 0, "postponed": 0, "given_up": 0}
    for _ in range(limit):
        with database.transaction() as tx:
            due = hooks.claim(tx, now=clock(), lease=LEASE)
        if due is None:
            break
        counts[_send(database, store, due, clock)] += 1
    return Sent(**counts)


def _send(database: Database, store: Store, due: Due, clock: Callable[[], datetime]) -> str:
    try:
        _call(store, due, clock())
    except NotTaken as error:
        log.warning("hook.not_taken", delivery=str(due.delivery_id), attempts=due.attempts, error=str(error))
        return _record_failure(database, due, str(error), clock())
    with database.transaction() as tx:
        hooks.delivered(tx, due, now=clock())
    log.info("hook.delivered", delivery=str(due.delivery_id))
    return "delivered"


def _call(store: Store, due: Due, now: datetime) -> None:
    content = hook_message.body(due.delivery_id, due.payload, partial(export.url, store))
    if due.kind is HookKind.COMMAND:
        hook_calls.command(due.target, content, hook_message.facts(due.delivery_id, due.payload))
        return
    headers = hook_message.headers(
        due.delivery_id,
        str(due.payload["event"]),
        content,
        secret=due.secret or "",
        timestamp=int(now.timestamp()),
    )
    hook_calls.post(due.target, content, headers)


def _record_failure(database: Database, due: Due, error: str, now: datetime) -> str:
    with database.transaction() as tx:
        if now - due.created_at >= GIVE_UP_AFTER:
            hooks.give_up(tx, due, error=error, now=now)
            return "given_up"
        hooks.postpone(tx, due, until=now + wait_after(due.attempts), error=error)
    return "postponed"
