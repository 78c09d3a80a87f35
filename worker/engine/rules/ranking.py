"""In which order due steps are served when there are fewer slots than steps."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from uuid import UUID

from worker.core.rules.batch_request import Priority
from worker.core.rules.states import StepKind
from worker.engine.rules.polling import EDGES_S, Histogram


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The distribution F of latencies, and its integral, at each edge of the histogram's buckets; linear between."""

    shares: tuple[float, ...]
    integrals_s: tuple[float, ...]

    def detection_lag_s(self, *, looked_s: float, age_s: float) -> float:
        """Return the expected seconds since the end of a generation aged ``age_s`` that was alive at ``looked_s``.

        It is the integral of (F(t) - F(looked)) / (1 - F(looked)) from the last look until now. One that is older than
        all that were ever seen counts as ended since that look.
        """
        looked_s = max(looked_s, 0.0)
        span_s = max(age_s - looked_s, 0.0)
        ended, before_s = self._at(looked_s)
        if ended >= 1 - _NONE_LEFT:
            return span_s
        _, until_s = self._at(looked_s + span_s)
        return max(0.0, (until_s - before_s - ended * span_s) / (1 - ended))

    def share(self, *, looked_s: float, age_s: float) -> float:
        """Return the chance that a generation that was alive at ``looked_s`` has ended at ``age_s``."""
        looked_s = max(looked_s, 0.0)
        ended, _ = self._at(looked_s)
        if ended >= 1 - _NONE_LEFT:
            return 1.0
        return (self._at(max(age_s, looked_s))[0] - ended) / (1 - ended)

    def _at(self, t_s: float) -> tuple[float, float]:
        """Return F(t) and its integral from 0 to t."""
        k = bisect_right(EDGES_S, t_s) - 1
        past_s = t_s - EDGES_S[k]
        if k == len(EDGES_S) - 1:
            return 1.0, self.integrals_s[k] + past_s
        slope = (self.shares[k + 1] - self.shares[k]) / (EDGES_S[k + 1] - EDGES_S[k])
        return self.shares[k] + slope * past_s, self.integrals_s[k] + (self.shares[k] + slope * past_s / 2) * past_s


_NONE_LEFT = 1e-9


def ends(seen: Histogram) -> Ends | None:
    """Return the distribution of a histogram; None while it is empty."""
    if not seen.is_known:
        return None
    total = seen.total
    shares = (0.0, *accumulate(count / total for count in seen.counts))
    pieces = ((shares[k] + shares[k + 1]) / 2 * (EDGES_S[k + 1] - EDGES_S[k]) for k in range(len(seen.counts)))
    return Ends(shares=shares, integrals_s=(0.0, *accumulate(pieces)))


Seen = Callable[[str, bool], Histogram]
"""From a model, and whether a reference is given, to what is known of its latencies."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A due step, with what tells how much it is worth to do it now."""

    job_id: UUID
    kind: StepKind
    priority: Priority
    due_at: datetime
    since: datetime
    """Of a poll: when the provider took the request."""
    looked_at: datetime | None
    """When the provider last said that it has not ended."""
    model: str
    has_reference: bool
    is_hinted: bool = False
    """Whether a webhook said that it has ended, since the provider was last asked."""


def ranked(steps: Iterable[Due], seen: Seen, *, now: datetime) -> dict[Priority, list[UUID]]:
    """Return the jobs of each class, the most worthwhile step first.

    Uploads, submits and collects that are tried again, and polls of what a webhook reports as ended, come before other
    polls, oldest first: each surely brings its image forward, and most were promised a slot before. A poll may find
    nothing. Polls follow by the time for which,
    as far as is known, their generations have ended unobserved; where nothing is known yet, by how long
    they have been due.
    """
    known: dict[tuple[str, bool], Ends | None] = {}
    found: dict[Priority, list[tuple[tuple[bool, float], UUID]]] = {}
    for step in steps:
        kind = step.model, step.has_reference
        if kind not in known:
            known[kind] = ends(seen(*kind))
        found.setdefault(step.priority, []).append((_order(step, known[kind], now), step.job_id))
    return {priority: [job_id for _, job_id in sorted(rows)] for priority, rows in found.items()}


def _order(step: Due, known: Ends | None, now: datetime) -> tuple[bool, float]:
    """Return what sorts the step into its class: smaller is earlier."""
    is_poll = step.kind is StepKind.POLL and not step.is_hinted
    if not is_poll or known is None:
        return is_poll, -(now - step.due_at).total_seconds()
    looked_s = 0.0 if step.looked_at is None else (step.looked_at - step.since).total_seconds()
    return True, -known.detection_lag_s(looked_s=looked_s, age_s=(now - step.since).total_seconds())
