"""How quickly an account has worked of late: what a forecast is made of."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

_NEWEST = 500
_POLLS = 2.0
"""Polls per image before anything was measured: the provider documents a first one after 2 to 3 s, then every 5 s."""
_LATENCY_S = 7.5
"""What an image takes when two polls find it finished."""


@dataclass(frozen=True, kw_only=True)
class MeasuredPace:
    """What an account may do in a second, and what an image takes."""

    rate: float
    """Requests per second."""
    window: int
    """Images that may be open at the provider at once."""
    latency_s: float
    """From the provider's yes to the recorded end of an image."""
    polls: float
    """Per image, over the newest images; the documented schedule's when there are none."""
    images: int
    """How many images the polls were counted over."""

    def duration_s(self, images: int, *, uploads: int = 0) -> float:
        """Forecast the seconds for so many images with so many references to upload: one create each, and its polls."""
        if images == 0:
            return 0.0
        by_rate = (images * (1 + self.polls) + uploads) / self.rate
        return max(by_rate, images / self.window * self.latency_s) + self.latency_s


def pace(tx: Connection, account_id: UUID) -> MeasuredPace:
    """Give the pace of the account."""
    row = tx.execute(
        text("""
            SELECT a.rate, a.max_in_flight, done.polls, done.images, done.latency_s
            FROM account a, LATERAL (
                SELECT avg(polls) AS polls, count(*) AS images,
                       avg(extract(epoch FROM ended_at - accepted_at)) AS latency_s
                FROM (SELECT polls, accepted_at, ended_at FROM generation
                      WHERE account_id = a.id AND state = 'succeeded' ORDER BY id DESC LIMIT :newest) newest) done
            WHERE a.id = :id"""),
        {"id": account_id, "newest": _NEWEST},
    ).one()
    polls = _POLLS if row.polls is None else float(row.polls)
    latency_s = _LATENCY_S if row.latency_s is None else float(row.latency_s)
    return MeasuredPace(rate=row.rate, window=row.max_in_flight, latency_s=latency_s, polls=polls, images=row.images)
