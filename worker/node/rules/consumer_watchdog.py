"""Whether a node still hears its broker, and what is done when it does not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PATIENCE = timedelta(seconds=20)
"""How long messages may wait beside free threads; a broker that is heard hands them over in milliseconds."""


class Action(StrEnum):
    """What is done about a node that hears nothing, the mildest first."""

    RECONNECT = "reconnect"
    """Its consumer connects anew; what it is working on goes on."""
    SHUT_DOWN = "shut_down"
    """It finishes what it has begun and ends with a failure, so that its supervisor starts it again."""
    EXIT = "exit"
    """It ends at once: leases give what it was working on to others."""


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """Since when nothing was heard although there was something to hear, and how many remedies were tried."""

    deaf_since: datetime | None = None
    tried: int = 0


def judge(before: Hearing, *, is_deaf: bool, now: datetime) -> tuple[Hearing, Action | None]:
    """Return the hearing after a look, and the remedy that is due, if any; each has the whole patience to work."""
    if not is_deaf:
        return Hearing(), None
    if before.deaf_since is None:
        return Hearing(deaf_since=now, tried=before.tried), None
    if now < before.deaf_since + PATIENCE:
        return before, None
    remedies = tuple(Action)
    remedy = remedies[min(before.tried, len(remedies) - 1)]
    return Hearing(deaf_since=now, tried=before.tried + 1), remedy
