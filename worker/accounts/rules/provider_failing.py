"""A Bernoulli CUSUM over generations of different prompts: whether the provider fails more than is usual.

Each prompt counts once, however its other attempts end, so that a bad prompt cannot be taken for an outage. A
failure raises the score by the logarithm of how much likelier it is while the provider fails than it usually is, a
success lowers it likewise, and it never falls below zero. Decision 0031 says why this test and these figures.
"""

import math
from dataclasses import dataclass, replace

FIRST_GUESS = 0.05
"""The usual share of failures at an account that is not known yet."""

TOLERATED = 0.25
"""So large a share is never taken for an outage, however rare failures usually are: prompts may be bad."""

MARGIN = 0.15
"""What is tolerated beyond the usual share."""

MOST_TOLERATED = 0.6
"""Where more than this fails, the prompts cannot be told from the provider."""

THRESHOLD = 9.0
"""A score from which the provider is failing: nine failures in a row at an account where failures are rare.

Where one prompt in five is bad, a row of failures gets there once in 200,000 rows (4 to the power of 9).
"""

SUSPECT = 2.0
"""A score from which prompts that have not failed yet come first: two failures more than successes."""

NARROWING = 3.0
"""A score from which few generations may be open: three failures more than successes.

Two more are so frequent where one prompt in five is bad that a batch would take a tenth longer.
"""

FEWEST = 3
"""Different prompts that must have failed, with no success among them, when no more evidence is to be had."""

_MEMORY = 500
"""The usual share forgets older generations over so many."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the last generations of an account say about the provider."""

    usual: float = FIRST_GUESS
    """The share of prompts that fail while the provider is well."""
    score: float = 0.0
    failed: int = 0
    """Different prompts that failed since the score was last zero."""
    succeeded: int = 0
    """Generations that succeeded since then."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing speaks against the provider."""
        return self.score <= 0

    @property
    def is_conclusive(self) -> bool:
        """Whether the provider is failing."""
        return self.score >= THRESHOLD

    @property
    def is_one_sided(self) -> bool:
        """Return whether several prompts failed and none succeeded, which decides when no other job can be tried."""
        return self.failed >= FEWEST and not self.succeeded


def tolerated(usual: float) -> float:
    """Return the share of failures up to which the provider counts as well."""
    return min(max(TOLERATED, usual + MARGIN), MOST_TOLERATED)


def failure(before: Evidence) -> Evidence:
    """Return the evidence after the first failure of one more prompt."""
    well = tolerated(before.usual)
    # While the provider fails, two thirds of what would have succeeded fails, too.
    ill = 1 - (1 - well) / 3
    return replace(before, score=before.score + math.log(ill / well), failed=before.failed + 1)


def success(before: Evidence) -> Evidence:
    """Return the evidence after a success; at zero, the counted failures are added to the usual share."""
    if before.is_calm:
        return before
    after = replace(before, score=before.score - math.log(3), succeeded=before.succeeded + 1)
    if after.score > 0:
        return after
    return Evidence(usual=_learned(after.usual, failed=after.failed, succeeded=after.succeeded))


def successes(before: Evidence, count: int) -> Evidence:
    """Return the evidence after ``count`` successes of a healthy account."""
    return replace(before, usual=_learned(before.usual, failed=0, succeeded=count))


def forgotten(before: Evidence) -> Evidence:
    """Return the evidence with nothing against the provider, and the usual share as it was before."""
    return Evidence(usual=before.usual)


def _learned(usual: float, *, failed: int, succeeded: int) -> float:
    count = failed + succeeded
    weight = (1 - 1 / _MEMORY) ** count
    return usual * weight + (1 - weight) * failed / count if count else usual
