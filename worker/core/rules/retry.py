"""How long to wait after a try that did not work, and whether to try again at all."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Waits that double from ``first`` up to ``most``."""

    first: timedelta
    most: timedelta

    def wait(self, attempts: int, jitter: float) -> timedelta:
        """Return the wait after that many failed tries (1 or more).

        ``jitter`` is a random number from 0 to 1: the wait lies between half and the whole of the step, so that
        tries that failed together do not come back together.
        """
        doublings = min(max(attempts - 1, 0), 30)
        step: timedelta = min(self.first * 2**doublings, self.most)
        return step * (0.5 + jitter / 2)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Waits that grow with the time that was waited already, for tries that are not counted."""

    of_waited: float
    least: timedelta
    most: timedelta

    def wait(self, waited: timedelta, jitter: float) -> timedelta:
        """Return the wait after having waited so long; ``jitter`` from 0 to 1 takes up to half of it away."""
        step: timedelta = min(max(waited * self.of_waited, self.least), self.most)
        return step * (0.5 + jitter / 2)


CALL = Backoff(first=timedelta(seconds=1), most=timedelta(minutes=2))
"""After a call that the provider did not answer."""

COLLECT = Backoff(first=timedelta(seconds=1), most=timedelta(minutes=10))
"""After a result that could not be fetched."""

PROBE = Backoff(first=timedelta(seconds=5), most=timedelta(minutes=10))
"""Between two looks at an account that is paused."""

CANARY = PROBE
"""Between two jobs that try whether a provider that failed every generation works again; a failure costs nothing."""

PAID_CANARY = Backoff(first=timedelta(hours=1), most=timedelta(hours=12))
"""Between two creates at a provider that does not say what it did: each may buy an image that is never seen."""


@dataclass(frozen=True, kw_only=True)
class ReplayPolicy:
    """When a create whose answer was lost may be sent once more with its key and its bytes."""

    window: timedelta
    """How long the provider is trusted to know an idempotency key; its documentation names no figure."""

    def is_open(self, *, first_sent_at: datetime, now: datetime, call: timedelta) -> bool:
        """Return whether a replay that may last for ``call`` surely arrives inside the window."""
        return now + call < first_sent_at + self.window


CLOCK_SLACK = timedelta(seconds=5)
"""A stored instant that is later than now by more was dated by a clock that was wrong."""

CONFLICT_PERIOD = timedelta(minutes=10)
"""How long after the first send a replay may meet a 409 before it counts as a conflict.

The provider does not document what a second request meets while the first is still being carried out (provider
contract, section 2). The same key and the same bytes cannot create a second task, so asking again is safe.
"""


OFFER_PERIOD = timedelta(days=1)
"""How long a reference or a create that is turned away is offered; then its job fails, nothing having been paid."""

OFFER_TRIES = 30
"""So many tries at least before that, so that a node that was away for a day fails no job."""


def is_offered_in_vain(*, tries: int, waited: timedelta) -> bool:
    """Return whether refused work was offered often and long enough to be given up."""
    return tries >= OFFER_TRIES and waited >= OFFER_PERIOD


THROTTLED_SENDS = 3
"""After so many answers that nothing was created, the last of them a 429, the job goes on with a new key.

The provider does not document whether a refused first attempt uses its key up (provider contract, section 2); if it
does, the same 429 would come back for ever, and each would close the account for everybody.
"""


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """How long the download of a paid image is retried."""

    unreachable: timedelta
    """While its address does not answer."""
    unreachable_tries: int
    """So many tries at least before that: the time in which the store was away counts no try."""
    lost: timedelta
    """While its address answers that there is no such image, or gives something that is not one."""
    lost_tries: int
    """So many tries at least before that."""

    def is_over(self, *, waited: timedelta, tries: int, is_lost: bool) -> bool:
        """Return whether a download that was retried so long and so often is given up."""
        if is_lost:
            return waited >= self.lost and tries >= self.lost_tries
        return waited >= self.unreachable and tries >= self.unreachable_tries


DOWNLOAD_LIMITS = DownloadLimits(
    unreachable=timedelta(days=1), unreachable_tries=30, lost=timedelta(minutes=30), lost_tries=6
)
"""After this the job ends as failed, its credits spent; the provider documents no lifetime of a result's address."""

UNREADABLE = Backoff(first=timedelta(minutes=2), most=timedelta(minutes=16))
"""After a result that is no image or too large: the next try is likely to give the same bytes."""

UNREADABLE_TIMES = 5
"""The same bytes so often in a row are taken for all that the provider has."""

STORE = Share(of_waited=0.25, least=timedelta(seconds=4), most=timedelta(minutes=4))
"""After a try for which the store, or the disk on the way to it, was not available; no try is counted."""

STORE_PAUSE_AFTER = timedelta(seconds=30)
"""A store that has failed for so long stops all that would be paid for."""

UNREACHABLE_AFTER = timedelta(minutes=3)
"""A paid image that is not downloaded after this is late."""

UNREACHABLE_COUNT = 10
"""So many late images, and none that came, stop all that would be paid for."""
