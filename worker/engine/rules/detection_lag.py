"""For how long a generation has, on average, already ended without anybody knowing: what a poll is worth."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from worker.engine.rules.latency import EDGES_S, Histogram


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The distribution F of latencies, and its integral, at each edge of the histogram's buckets; linear between."""

    shares: tuple[float, ...]
    integrals_s: tuple[float, ...]

    def undetected_s(self, *, looked_s: float, age_s: float) -> float:
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
    """Return the distribution that a histogram stands for; None while it says nothing."""
    if not seen.is_known:
        return None
    total = seen.total
    shares = (0.0, *accumulate(count / total for count in seen.counts))
    pieces = ((shares[k] + shares[k + 1]) / 2 * (EDGES_S[k + 1] - EDGES_S[k]) for k in range(len(seen.counts)))
    return Ends(shares=shares, integrals_s=(0.0, *accumulate(pieces)))
