"""What a person does with hooks: add, rotate, test, enable and remove them, and replay what they did not take."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules import events
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import plain
from worker.hooks.queries import deliveries, hooks
from worker.hooks.queries.hooks import HookRow
from worker.hooks.rules import hook as rules
from worker.hooks.rules.hook import BadHook, HookKind


class HookUnknown(DarkroomError):
    """There is no such hook, or it was removed."""

    error_code = "hook_unknown"
    hint = "`darkroom hook list` shows all"

    def __init__(self, name: str) -> None:
        """Keep what was asked for."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Return the message."""
        return f"there is no hook {plain(self.name)}"


class HookDisabled(DarkroomError):
    """The hook is switched off, so that nothing is delivered to it; nothing was changed."""

    error_code = "hook_disabled"

    def __init__(self, hook_id: UUID, reason: str | None) -> None:
        """Keep which hook, and why."""
        super().__init__(hook_id, reason)
        self.hook_id = hook_id
        self.reason = reason

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"the hook is disabled ({self.reason}): `darkroom hook enable {self.hook_id}` switches it on"


class DeliveryUnknown(DarkroomError):
    """There is no delivery or event with that id that could be sent again."""

    error_code = "delivery_unknown"
    hint = "`darkroom hook deliveries` lists them; what waits is sent by itself"

    def __init__(self, name: str) -> None:
        """Keep what was asked for."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Return the message."""
        return f"{plain(self.name)} is no delivery, or event, that was delivered or has failed, of a hook that is on"


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A hook and the secret that it signs with from now on, which is shown this once."""

    hook_id: UUID
    secret: str | None = field(repr=False)
    """None: it runs a command."""


def add(database: Database, by: Author, target: str, event_names: list[str], *, catalog_id: UUID | None) -> Secret:
    """Subscribe an address or a command to events, of one catalog or of all; raise BadHook."""
    kind = rules.kind_of(target)
    types = rules.checked_events(event_names, is_of_catalog=catalog_id is not None)
    made = Secret(hook_id=by.new_id(), secret=_new_secret() if kind is HookKind.POST else None)
    with database.transaction() as tx:
        hooks.add(
            tx,
            by,
            hook_id=made.hook_id,
            catalog_id=catalog_id,
            kind=kind,
            target=target,
            secret=made.secret,
            events=types,
        )
    return made


def rotate(database: Database, by: Author, name: str, *, seen: str | None = None) -> Secret:
    """Make a hook a new secret; the one before signs too for a day, so that its receiver can follow without a gap.

    ``seen`` is when the secret that is to be replaced was made, empty for the first one; of two copies of one request
    the second is refused with BadHook, else its receiver's secret would be forgotten. None: whichever it is.
    """
    with database.transaction() as tx:
        found = find(tx, name)
        before = hooks.lock_secrets(tx, found.id)
        if before.secret is None:
            raise BadHook("the hook runs a command, which needs no signature")
        if seen is not None and seen != secret_mark(before.rotated_at):
            raise BadHook("the hook was given a new secret since its page was loaded: load it again")
        new = _new_secret()
        after = rules.rotated(before.secret, new, rotated_at=before.rotated_at, now=by.now)
        hooks.set_secrets(tx, by, found.id, after)
    return Secret(hook_id=found.id, secret=new)


def secret_mark(rotated_at: datetime | None) -> str:
    """Return what tells a secret of a hook from the one before."""
    return "" if rotated_at is None else rotated_at.isoformat()


def test(database: Database, by: Author, name: str) -> UUID:
    """Have the nodes send a test event to a hook; give the delivery's id."""
    with database.transaction() as tx:
        found = find(tx, name)
        if found.disabled_at is not None:
            raise HookDisabled(found.id, found.disabled_reason)
        delivery_id = by.new_id()
        data = {"hook": str(found.id), "by": by.actor}
        deliveries.add_test(tx, delivery_id=delivery_id, event_id=by.new_id(), hook_id=found.id, data=data, now=by.now)
    return delivery_id


def enable(database: Database, by: Author, name: str) -> bool:
    """Switch a hook on again; False when it was on. What it missed can be replayed."""
    with database.transaction() as tx:
        return hooks.enable(tx, by, find(tx, name).id)


def remove(database: Database, by: Author, name: str) -> int:
    """Remove a hook; give how many deliveries were dropped."""
    with database.transaction() as tx:
        return hooks.remove(tx, by, find(tx, name).id)


def replay(database: Database, name: str, *, now: datetime) -> int:
    """Send a delivery again, or an event to every hook that it went to; give how many deliveries it are."""
    try:
        chosen = events.internal_id(name)
    except ValueError:
        raise DeliveryUnknown(name) from None
    with database.transaction() as tx:
        found = deliveries.one(tx, chosen)
        hook = None if found is None else hooks.one(tx, found.hook_id)
        if hook is not None and hook.disabled_at is not None:
            raise HookDisabled(hook.id, hook.disabled_reason)
        count = deliveries.replay(tx, chosen=chosen, since=None, hook_id=None, now=now)
    if not count:
        raise DeliveryUnknown(name)
    return count


def replay_failed(database: Database, *, since: datetime, hook: str | None, now: datetime) -> int:
    """Send again what became a dead letter at or after an instant, of one hook or all that are on; give how many."""
    with database.transaction() as tx:
        found = None if hook is None else find(tx, hook)
        if found is not None and found.disabled_at is not None:
            raise HookDisabled(found.id, found.disabled_reason)
        return deliveries.replay(tx, chosen=None, since=since, hook_id=None if found is None else found.id, now=now)


def find(tx: Connection, name: str) -> HookRow:
    """Return the hook with this id; raise HookUnknown."""
    try:
        found = hooks.one(tx, UUID(name))
    except ValueError:
        found = None
    if found is None:
        raise HookUnknown(name)
    return found


def _new_secret() -> str:
    return rules.secret_of(secrets.token_bytes(rules.SECRET_BYTES))
