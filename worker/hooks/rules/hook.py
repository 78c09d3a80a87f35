"""What a hook may be, which secrets sign for it, and when a delivery that failed is tried again."""

import base64
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from worker.core.rules.errors import DarkroomError
from worker.core.rules.events import OF_CATALOGS, SUBSCRIBABLE, EventType
from worker.core.rules.setting_values import COMMAND_NAME


class HookKind(StrEnum):
    """How a hook receives events."""

    COMMAND = "command"
    """A command gets the event on its standard input."""
    POST = "post"
    """An address gets it as a signed HTTP POST."""


class BadHook(DarkroomError):
    """A hook cannot be like that; nothing was changed."""

    error_code = "hook_invalid"
    exit_code = 2


def kind_of(target: str) -> HookKind:
    """Return how a target receives events: an address by POST, a name of a command by running it; raise BadHook."""
    if "://" not in target:
        if not COMMAND_NAME.fullmatch(target):
            raise BadHook(
                f"{target!r} is neither an address nor the name of a command: write https://..., or a name of"
                " DARKROOM_HOOK_COMMANDS, where the nodes' own settings have the commands"
            )
        return HookKind.COMMAND
    _check_address(target)
    return HookKind.POST


def _check_address(target: str) -> None:
    try:
        parts = urlsplit(target)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise BadHook(f"{target!r} is not an address: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise BadHook(f"{target!r} is not an address: it must begin with https:// or http://")
    if parts.username is not None:
        raise BadHook("the address names a user: a POST is signed, and its receiver checks that")
    if not host.isascii():
        raise BadHook("the address has a host that is not ASCII: write it as it is looked up, xn--...")


def checked_events(names: list[str], *, is_of_catalog: bool) -> list[EventType]:
    """Return the types with these names, each once; raise BadHook for one that a hook cannot subscribe to.

    A hook of one catalog receives events of catalogs alone.
    """
    known = {each.value: each for each in (SUBSCRIBABLE if not is_of_catalog else sorted(OF_CATALOGS))}
    for name in names:
        if name not in known:
            of = "a catalog's hook receives" if is_of_catalog else "there are"
            raise BadHook(f"{name!r} is not such an event: {of} {', '.join(known)}")
    if not names:
        raise BadHook("name at least one event with --event")
    return [known[name] for name in dict.fromkeys(names)]


SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins
SECRET_BYTES = 32
"""Of a new secret; Standard Webhooks asks for 24 to 64."""
OVERLAP = timedelta(hours=24)
"""How long the secrets before the last rotation sign as well."""
MOST_SECRETS = 4
"""Which sign at once, so that the header of a hook that is rotated again and again stays short."""


def secret_of(random_bytes: bytes) -> str:
    """Return these bytes as a secret of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def signing_secrets(secrets: str, *, rotated_at: datetime | None, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign now, newest first: the last one, and for a day those before it."""
    each = tuple(secrets.split())
    is_overlapping = rotated_at is not None and now < rotated_at + OVERLAP
    return each if is_overlapping else each[:1]


def rotated(secrets: str, new: str, *, rotated_at: datetime | None, now: datetime) -> str:
    """Return the secrets after a rotation; raise BadHook when too many would sign at once."""
    still = signing_secrets(secrets, rotated_at=rotated_at, now=now)
    if len(still) >= MOST_SECRETS:
        raise BadHook(f"{MOST_SECRETS} secrets sign for this hook already: wait a day after the last rotation")
    return " ".join((new, *still))


WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)  # fmt: skip
"""After the first failure, the second ...: the schedule that Standard Webhooks recommends, somewhat over three days."""
JITTER = 0.2
"""By which share a wait may be longer, so that what failed together does not come back together."""
DISABLE_AFTER = timedelta(days=5)
"""A hook that fails for so long without one success is switched off."""
GONE = 410
"""The status with which a receiver says that it wants nothing more."""


def wait_after(failures: int, jitter: float) -> timedelta | None:
    """Return the wait after so many failed tries (1 or more); None: it is not tried any more.

    ``jitter`` is a random number from 0 to 1.
    """
    if failures > len(WAITS):
        return None
    wait: timedelta = WAITS[failures - 1] * (1 + JITTER * jitter)
    return wait


def disabled_reason(*, status: int | None, failing_since: datetime, now: datetime) -> str | None:
    """Return why a hook whose try just failed is switched off; None: it stays on."""
    if status == GONE:
        return "it answered 410 Gone"
    if now - failing_since >= DISABLE_AFTER:
        return f"every try failed since {failing_since:%Y-%m-%d %H:%M} UTC"
    return None
