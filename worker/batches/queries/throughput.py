"""Throughput: of an account, with the bounds of a forecast, and where the time of a batch's newest images went."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.rules.learned_rate import CEILING
from worker.engine.queries.batches import BatchRow

_NEWEST = 500
_TIMED = 200
"""So many images say where a batch's time went: 95 in 100 of them is known well enough, and each is looked up."""
_STRETCHES = 10
"""Into so many stretches of time, with as many images each, the newest images are parted to see how they vary."""
_ENOUGH = 20
"""With fewer images nothing can be said of how far a forecast may be off."""
_POLLS = 2.0
"""Polls per image before anything was measured: the provider documents a first one after 2 to 3 s, then every 5 s."""
_LATENCY_S = 7.5
"""What an image takes when two polls find it finished."""


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


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The best and the worst that the newest images have seen."""

    best: Circumstances
    worst: Circumstances


@dataclass(frozen=True, kw_only=True)
class MeasuredPace:
    """The rate of an account, and the requests and time of an image."""

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
    rates: tuple[float, float]
    """The bounds of the rate."""
    bounds: Bounds | None = None
    """None while too few images were made."""

    def duration_s(self, images: int, *, uploads: int = 0) -> float:
        """Forecast the seconds for so many images with so many references to upload: one create each, and its polls."""
        return self._mean.duration_s(images, uploads=uploads)

    def range_s(self, images: int, *, uploads: int = 0) -> tuple[float, float] | None:
        """Return the least and the most seconds; None while too few images were made to say.

        The newest 500 images are parted into ten stretches of time. The least is what it takes when the whole batch
        fares like the best stretch (fewest polls, shortest latency) at the highest rate that the present one may
        turn out to be, and its last image like the quickest twentieth; the most is the opposite of all four. So it
        covers what the account has seen of late, and not other batches that share it, pauses or outages.
        """
        if self.bounds is None:
            return None
        mean = self.duration_s(images, uploads=uploads)
        least = self.bounds.best.duration_s(images, uploads=uploads)
        most = self.bounds.worst.duration_s(images, uploads=uploads)
        return min(least, mean), max(most, mean)

    @property
    def _mean(self) -> Circumstances:
        return Circumstances(
            rate=self.rate, window=self.window, polls=self.polls, latency_s=self.latency_s, last_s=self.latency_s
        )


_PACE = """
    WITH newest AS (
        SELECT g.polls, extract(epoch FROM g.ended_at - g.accepted_at) AS latency_s,
               ntile(:stretches) OVER (ORDER BY g.id) AS stretch
        FROM account a, LATERAL (
            SELECT id, polls, accepted_at, ended_at FROM generation
            WHERE account_id = a.id AND state = 'succeeded' ORDER BY id DESC LIMIT :newest) g
        WHERE a.{column} = :account),
    stretches AS (SELECT avg(polls) AS polls, avg(latency_s) AS latency_s FROM newest GROUP BY stretch)
    SELECT a.rate, a.is_rate_learned, a.throttled_at IS NOT NULL AS was_throttled, a.max_in_flight, whole.*, parts.*
    FROM account a,
        (SELECT avg(polls) AS polls, avg(latency_s) AS latency_s, count(*) AS images,
            percentile_cont(0.05) WITHIN GROUP (ORDER BY latency_s) AS quick_s,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_s) AS slow_s FROM newest) whole,
        (SELECT min(polls) AS fewest, max(polls) AS most, min(latency_s) AS shortest_s, max(latency_s) AS longest_s
            FROM stretches) parts
    WHERE a.{column} = :account"""


def pace(tx: Connection, account_id: UUID) -> MeasuredPace:
    """Return the pace of the account."""
    return _pace(tx.execute(text(_PACE.format(column="id")), _asked(account_id)).one())


_OPEN = text("""
    SELECT a.id FROM batch_account m JOIN account a ON a.id = m.account_id
    WHERE m.batch_id = :id AND a.pause_reason IS NULL ORDER BY a.name""")


def of_batch(tx: Connection, batch: BatchRow) -> MeasuredPace:
    """Return the pace of the batch's account, or of those of its pool together that are not paused."""
    found = [] if batch.pool is None else tx.execute(_OPEN, {"id": batch.id}).scalars().all()
    return of_accounts(tx, found or [batch.account_id])


def of_accounts(tx: Connection, account_ids: Sequence[UUID]) -> MeasuredPace:
    """Return the pace of these accounts together; there is at least one."""
    return together([pace(tx, account_id) for account_id in account_ids])


def together(paces: Sequence[MeasuredPace]) -> MeasuredPace:
    """Add up rates and windows; polls and latencies are the means, between the best and the worst of any account."""
    if len(paces) == 1:
        return paces[0]
    count = len(paces)
    found = MeasuredPace(
        rate=sum(each.rate for each in paces),
        window=sum(each.window for each in paces),
        latency_s=sum(each.latency_s for each in paces) / count,
        polls=sum(each.polls for each in paces) / count,
        images=sum(each.images for each in paces),
        rates=(sum(each.rates[0] for each in paces), sum(each.rates[1] for each in paces)),
    )
    return replace(found, bounds=_bounds_together(found, [each.bounds for each in paces if each.bounds is not None]))


def _bounds_together(whole: MeasuredPace, known: Sequence[Bounds]) -> Bounds | None:
    """Return the bounds of a pool: an account with too few images fares between those of the others."""
    if not known:
        return None
    lowest, highest = whole.rates
    best = Circumstances(
        rate=highest,
        window=whole.window,
        polls=min(each.best.polls for each in known),
        latency_s=min(each.best.latency_s for each in known),
        last_s=min(each.best.last_s for each in known),
    )
    worst = Circumstances(
        rate=lowest,
        window=whole.window,
        polls=max(each.worst.polls for each in known),
        latency_s=max(each.worst.latency_s for each in known),
        last_s=max(each.worst.last_s for each in known),
    )
    return Bounds(best=best, worst=worst)


def pace_of(tx: Connection, account: str) -> MeasuredPace | None:
    """Return the pace of the account with that name; None when there is no such account yet."""
    row = tx.execute(text(_PACE.format(column="name")), _asked(account)).one_or_none()
    return None if row is None else _pace(row)


def _asked(account: UUID | str) -> dict[str, object]:
    return {"account": account, "newest": _NEWEST, "stretches": _STRETCHES}


def _pace(row: Any) -> MeasuredPace:
    rates = rate_bounds(row.rate, is_learned=row.is_rate_learned, was_throttled=row.was_throttled)
    return MeasuredPace(
        rate=row.rate,
        window=row.max_in_flight,
        latency_s=_LATENCY_S if row.latency_s is None else float(row.latency_s),
        polls=_POLLS if row.polls is None else float(row.polls),
        images=row.images,
        rates=rates,
        bounds=_bounds(row, rates) if row.images >= _ENOUGH else None,
    )


def _bounds(row: Any, rates: tuple[float, float]) -> Bounds:
    lowest, highest = rates
    best = Circumstances(
        rate=highest,
        window=row.max_in_flight,
        polls=float(row.fewest),
        latency_s=float(row.shortest_s),
        last_s=float(row.quick_s),
    )
    worst = replace(best, rate=lowest, polls=float(row.most), latency_s=float(row.longest_s), last_s=float(row.slow_s))
    return Bounds(best=best, worst=worst)


def rate_bounds(rate: float, *, is_learned: bool, was_throttled: bool) -> tuple[float, float]:
    """Return the bounds of the mean rate.

    A rate that was set is kept. A learned one keeps between nine tenths of what the provider refused and that rate
    itself, so the average is within a tenth of the present one. Before the first 429 the limit is not known at all: it
    may be just above, or as high as any.
    """
    if not is_learned:
        return rate, rate
    return 0.9 * rate, 1.1 * rate if was_throttled else CEILING


# First attempts alone: the wait of a later one is no wait in our queue. A negative span is that of another clock.
_CLOCKS = text("""
    WITH newest AS (
        SELECT id, created_at, ended_at FROM job
        WHERE batch_id = :batch_id AND ended_at IS NOT NULL AND state = 'succeeded'
        ORDER BY ended_at DESC, id DESC LIMIT :most),
    image AS (
        SELECT g.took_ms IS NOT NULL AS is_dated,
            extract(epoch FROM g.first_sent_at - j.created_at)::float8 AS queue_s,
            extract(epoch FROM g.ended_at - g.accepted_at)::float8 AS seen_s,
            g.took_ms / 1000.0::float8 AS provider_s,
            extract(epoch FROM j.ended_at - g.ended_at)::float8 AS download_s
        FROM newest j JOIN generation g ON g.job_id = j.id AND g.number = 1
        WHERE g.state = 'succeeded' AND g.first_sent_at IS NOT NULL AND g.accepted_at IS NOT NULL),
    span AS (
        SELECT s.at, s.clock, s.seconds FROM image i CROSS JOIN LATERAL (VALUES
            (1, 'queue', i.queue_s),
            (2, 'provider', CASE WHEN i.is_dated THEN i.provider_s END),
            (3, 'detection', CASE WHEN i.is_dated THEN i.seen_s - i.provider_s END),
            (4, 'provider_and_detection', CASE WHEN NOT i.is_dated THEN i.seen_s END),
            (5, 'download', i.download_s)) s (at, clock, seconds)
        WHERE s.seconds IS NOT NULL)
    SELECT clock, count(*) AS images,
        greatest(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0)::float8 AS half_s,
        greatest(percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds), 0)::float8 AS most_s
    FROM span GROUP BY at, clock ORDER BY at""")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """One part of the way of an image."""

    clock: str
    """queue, provider, detection, download; provider_and_detection where the provider does not date the end."""
    images: int
    half_s: float
    """Half of them took no longer."""
    most_s: float
    """95 in 100 took no longer."""


def clocks(tx: Connection, batch_id: UUID) -> list[Clock]:
    """Return where the time of a batch's newest images went, in the order of their way; empty when it has none."""
    return [Clock(**row._asdict()) for row in tx.execute(_CLOCKS, {"batch_id": batch_id, "most": _TIMED})]
