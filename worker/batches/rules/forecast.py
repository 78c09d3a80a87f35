"""How long so many images take, and between which bounds: whichever of pace and window is slower decides."""

from dataclasses import dataclass

from worker.accounts.rules.learned_rate import CEILING


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the duration of a batch depends on, as if it were alone on its account."""

    rate: float
    """Requests per second."""
    window: int
    """Images that may be open at the provider at once."""
    polls: float
    """Per image."""
    latency_s: float
    """From the provider's yes to the recorded end of an image, on average."""
    last_s: float
    """The same for the image that ends last."""

    def duration_s(self, images: int, *, uploads: int = 0) -> float:
        """Return the seconds for so many images with so many references to upload: one create each, and its polls."""
        if images == 0:
            return 0.0
        by_rate = (images * (1 + self.polls) + uploads) / self.rate
        return max(by_rate, images / self.window * self.latency_s) + self.last_s


def rate_bounds(rate: float, *, is_learned: bool, was_throttled: bool) -> tuple[float, float]:
    """Return the lowest and the highest mean rate that the present one may turn out to be.

    A rate that was set is kept. A learned one keeps between nine tenths of what the provider refused and that rate
    itself, so the average is within a tenth of the present one. Before the first 429 the limit is not known at all: it
    may be just above, or as high as any.
    """
    if not is_learned:
        return rate, rate
    return 0.9 * rate, 1.1 * rate if was_throttled else CEILING
