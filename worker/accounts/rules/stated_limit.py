"""Whether answers are believed that say that no request remains, although they refuse none themselves.

A provider, or something on the way, may say so wrongly. The key is closed for a minute at the most on such a word; a
create that is accepted within the time for which none should be disproves it. Where it is right, the create is refused
with a 429, which is believed for longer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

BELIEVED_FOR = timedelta(minutes=1)
"""The longest time for which the key is closed without a 429."""
DISBELIEVED_FOR = timedelta(minutes=15)
"""How long such answers are ignored after one was disproved, unless a 429 comes."""
_SURELY_BEFORE = 0.9
"""Of the time until the reset: what is accepted later may have arrived when the limit had been reset."""


@dataclass(frozen=True, kw_only=True)
class StatedLimit:
    """What was last said."""

    said_at: datetime | None = None
    resets_in: timedelta = timedelta(0)
    disproved_at: datetime | None = None


def accepted(before: StatedLimit, *, sent_at: datetime, now: datetime) -> StatedLimit:
    """Return what is known after a create was accepted that was sent at this instant."""
    if before.said_at is None or not before.said_at < sent_at < before.said_at + _SURELY_BEFORE * before.resets_in:
        return before
    return StatedLimit(disproved_at=now)


def said(before: StatedLimit, *, wait: timedelta, now: datetime) -> tuple[StatedLimit, timedelta | None]:
    """Return what is known after such an answer, and for how long the key is to be closed; None: not at all."""
    if before.disproved_at is not None and now < before.disproved_at + DISBELIEVED_FOR:
        return before, None
    return StatedLimit(said_at=now, resets_in=wait), min(wait, BELIEVED_FOR)
