"""An estimate of another machine's clock, carried on by a monotonic clock between readings."""

from dataclasses import dataclass

DRIFT = 500e-6
"""The most by which two clocks drift apart while neither is stepped, in seconds per second: what NTP may slew by, ten
times what crystals do."""

STEP_S = 0.5
"""A clock that is off by less than this was not stepped, as far as anybody is told."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the other clock said, between two instants of the monotonic clock; all in seconds."""

    asked_s: float
    answered_s: float
    theirs_s: float
    """Since 1970."""

    @property
    def at_s(self) -> float:
        """The middle between question and answer."""
        return (self.asked_s + self.answered_s) / 2

    @property
    def uncertainty_s(self) -> float:
        """The most by which the reading is off: it was made at some instant between question and answer."""
        return (self.answered_s - self.asked_s) / 2


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The other clock as it was read, at an instant of the monotonic clock."""

    offset_s: float
    """The other clock less the monotonic clock."""
    read_at_s: float
    read_uncertainty_s: float

    def now_s(self, at_s: float) -> float:
        """Return the other clock's seconds since 1970 at an instant of the monotonic clock."""
        return at_s + self.offset_s

    def uncertainty_s(self, at_s: float) -> float:
        """Return the most by which the estimate is off then; it grows with the time since the reading."""
        return self.read_uncertainty_s + DRIFT * abs(at_s - self.read_at_s)


@dataclass(frozen=True, kw_only=True)
class Reckoned:
    """The estimate after a reading, and by how much the other clock was stepped, if it was."""

    estimate: Estimate
    stepped_s: float = 0.0


def reckon(before: Estimate | None, reading: Reading) -> Reckoned:
    """Follow a reading that is surer than what is known, or that contradicts it; leave a worse one alone."""
    read = Estimate(
        offset_s=reading.theirs_s - reading.at_s, read_at_s=reading.at_s, read_uncertainty_s=reading.uncertainty_s
    )
    if before is None:
        return Reckoned(estimate=read)
    known = before.uncertainty_s(reading.at_s)
    moved = read.offset_s - before.offset_s
    if abs(moved) > known + reading.uncertainty_s:
        return Reckoned(estimate=read, stepped_s=moved if abs(moved) >= STEP_S else 0.0)
    return Reckoned(estimate=read if reading.uncertainty_s <= known else before)
