"""How much of the wallet's last reading admission may still commit."""

from datetime import datetime, timedelta

BELIEVED_FOR = timedelta(minutes=5)
"""How long a reading bounds admission where no floor was set: a wallet that cannot be read any more must not stop work
for ever, since the provider itself says so when it is empty."""

READ_AGAIN_AFTER = timedelta(seconds=15)
"""How soon the wallet is read again while it holds admission up: a top-up is seen within so long."""


def spendable(*, left: int | None, read_at: datetime | None, floor: int | None, now: datetime) -> int | None:
    """Return the credits that may be committed; None: the wallet sets no bound.

    ``left`` is the last reading less what was held since. A ``floor`` that was set holds in any case, and nothing is
    committed before the first reading; without one only a reading that is recent enough counts, down to 0.
    """
    if floor is not None:
        return 0 if left is None else left - floor
    if left is None or read_at is None or now >= read_at + BELIEVED_FOR:
        return None
    return left
