"""Whether a prompt has failed so often that asking for it again would only burn credits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

POISONED_AFTER = 5
"""So many failures in a row, in whatever jobs and batches, and a prompt is poisoned.

A provider that fails one generation in ten for reasons of its own does that to a good prompt once in 100,000 times; one
that fails every other, once in 32, and then asking again is a matter of one command. Fewer would be more than the
attempts that a single job may have by default.
"""

FORGOTTEN_AFTER = timedelta(days=1)
"""A prompt that has not failed for so long may be tried again: the provider may have changed."""

CODE = "poisoned_prompt"
"""The failure of a job whose prompt is not asked for any more."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is remembered of a prompt that has failed since it last succeeded."""

    failures: int
    last_failed_at: datetime
    last_code: str

    def is_poisoned(self, now: datetime) -> bool:
        """Return whether nothing more is to be paid for it."""
        return self.failures >= POISONED_AFTER and now < self.last_failed_at + FORGOTTEN_AFTER

    @property
    def words(self) -> str:
        """What a person is told who finds a job failed for it."""
        return (
            f"the prompt has failed {self.failures} times in a row, last with {self.last_code}, so nothing more is paid"
            f" for it: change it, or ask again with `darkroom retry BATCH --code {CODE}`"
        )
