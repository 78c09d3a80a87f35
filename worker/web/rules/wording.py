"""What the console's pages say: figures, instants and spans, and the state of an account in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NONE = "\N{EN DASH}"
"""What stands where there is nothing to say."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_TENTHS_BELOW_S = 9.95
_TRACK = 1_000
"""Units that a bar is wide."""
_THINNEST = 6
"""Units of a part that there is but that would be too small to be seen."""


def number(value: int | None) -> str:
    """Return a count or credits with separators, exact however large."""
    return NONE if value is None else f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun; ``many`` None: the noun takes an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def rate(per_second: float | None) -> str:
    """Format a rate with at most two decimals."""
    return NONE if per_second is None else f"{per_second:.2f}".rstrip("0").rstrip(".")


def span(length: timedelta | float | None) -> str:
    """Return a length of time in its two largest units; one below zero is none at all."""
    if length is None:
        return NONE
    seconds = max(0, round(length.total_seconds() if isinstance(length, timedelta) else length))
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        return _two(seconds // _HOUR_S, "h", seconds % _HOUR_S // _MINUTE_S, "min")
    return _two(seconds // _DAY_S, "d", seconds % _DAY_S // _HOUR_S, "h")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def brief(seconds: float) -> str:
    """Return a length of time that may be short; below 10 s to a tenth, and one below zero is none at all."""
    return span(seconds) if seconds >= _TENTHS_BELOW_S else f"{max(0.0, seconds):.1f} s"


def ago(at: datetime | None, now: datetime) -> str:
    """Format how long ago an instant was; one in the future, by another clock, is "just now"."""
    if at is None:
        return NONE
    return f"{span(now - at)} ago" if (now - at).total_seconds() >= 1 else "just now"


def until(at: datetime | None, now: datetime) -> str:
    """Return in how long an instant comes; one that has passed is now, never a negative wait."""
    if at is None:
        return NONE
    return f"in {span(at - now)}" if (at - now).total_seconds() >= 1 else "now"


def instant(at: datetime | None) -> str:
    """Return an instant to the second, in UTC."""
    return NONE if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def percent(part: int, whole: int) -> int:
    """Return the share in whole percents, rounded down so that 100 means all; 0 of nothing."""
    return 0 if whole <= 0 else min(100, max(0, 100 * part // whole))


def segments(parts: Sequence[int], whole: int) -> list[tuple[int, int]]:
    """Return where each part of a bar of 1,000 units begins and how wide it is; what there is can be seen."""
    total, placed, begin = max(whole, sum(parts), 1), [], 0
    for part in parts:
        width = min(max(_TRACK * part // total, _THINNEST if part else 0), _TRACK - begin)
        placed.append((begin, width))
        begin += width
    return placed


@dataclass(frozen=True, kw_only=True)
class AccountState:
    """A sentence, its consequence, and its colour: good, info, warn or bad."""

    tone: str
    says: str
    then: str


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """What the sentence is made of; None: does not apply, or is not known."""

    account: str
    pause_reason: str | None
    pause_message: str | None
    paused_at: datetime | None
    probe_at: datetime | None
    next_step: str
    """What a person can do about the pause."""
    blocked_until: datetime | None
    nodes: int
    open_jobs: int
    """Without those in paused batches."""
    held_back: int
    """Jobs that wait in paused batches."""
    pooled: int
    """Jobs that wait for any account of its pools; none of the others counts them."""
    images_per_s: float
    limit_per_s: float
    left_s: float | None
    last_ended_at: datetime | None


def describe_account(facts: AccountFacts, *, now: datetime) -> AccountState:
    """Return the state: a pause first, then a closed key, missing nodes, nothing to do, and work."""
    if facts.pause_reason is not None:
        return _paused(facts, now)
    if facts.blocked_until is not None:
        return AccountState(
            tone="warn",
            says=f"Closed by the provider until {instant(facts.blocked_until)} ({until(facts.blocked_until, now)}).",
            then=f"Work resumes then by itself, or at once with `darkroom account resume {facts.account}`.",
        )
    images = plural(facts.open_jobs, "image")
    if not facts.open_jobs:
        return AccountState(tone="good", says=f"Idle{_since_last(facts, now)}.", then=_nothing_open(facts))
    if not facts.nodes:
        return AccountState(
            tone="bad",
            says=f"No worker node runs, and {images} {'waits' if facts.open_jobs == 1 else 'wait'}.",
            then="Start one with `darkroom up`, or see `darkroom doctor`.",
        )
    left = "" if facts.left_s is None else f", about {span(facts.left_s)} of work at this limit"
    return AccountState(
        tone="info",
        says=f"Rendering {rate(facts.images_per_s)} images/s,"
        f" of about {rate(facts.limit_per_s)}/s that its limit allows.",
        then=f"{images} open{left}.",
    )


def _nothing_open(facts: AccountFacts) -> str:
    held_back = f"{plural(facts.held_back, 'image')} in paused batches."
    if facts.pooled:
        wait = "waits" if facts.pooled == 1 else "wait"
        pooled = f"Nothing of its own is open; {plural(facts.pooled, 'image')} {wait} in its pools."
        return f"{pooled} {held_back}" if facts.held_back else pooled
    return held_back if facts.held_back else "Nothing is open."


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    """What the sentence about a pool with pending jobs is made of."""

    accounts: Sequence[str]
    paused: Sequence[str]
    """Those of them that are paused."""
    nodes: int
    waiting: int
    """Jobs that wait for any of them, without those in paused batches."""
    held_back: int
    left_s: float
    """What those that wait take at the limits of all that are not paused."""


def describe_pool(facts: PoolFacts) -> AccountState:
    """Return the state of a pool: missing nodes first, then accounts that are all paused, and work."""
    images, wait = plural(facts.waiting, "image"), "waits" if facts.waiting == 1 else "wait"
    held_back = f" {plural(facts.held_back, 'image')} in paused batches." if facts.held_back else ""
    if not facts.waiting:
        return AccountState(tone="good", says="Nothing waits for its accounts.", then=held_back.strip())
    if not facts.nodes:
        return AccountState(
            tone="bad",
            says=f"No worker node runs, and {images} {wait}.",
            then=f"Start one with `darkroom up`, or see `darkroom doctor`.{held_back}",
        )
    if len(facts.paused) == len(facts.accounts):
        return AccountState(
            tone="bad",
            says=f"{images} {wait}, and each of its accounts is paused: {', '.join(facts.accounts)}.",
            then=f"Next step: that of any of them.{held_back}",
        )
    able = ", ".join(name for name in facts.accounts if name not in facts.paused)
    without = f" Paused: {', '.join(facts.paused)}." if facts.paused else ""
    return AccountState(
        tone="info",
        says=f"{images} {wait} for whichever account is free first: {able}.",
        then=f"About {span(facts.left_s)} of work at their limits together.{without}{held_back}",
    )


def _paused(facts: AccountFacts, now: datetime) -> AccountState:
    reason = str(facts.pause_reason).replace("_", " ")
    words = f" ({facts.pause_message})" if facts.pause_message else ""
    look = "" if facts.probe_at is None else f" The next look is due {until(facts.probe_at, now)}."
    return AccountState(
        tone="warn" if facts.pause_reason == "operator" else "bad",
        says=f"Paused since {instant(facts.paused_at)} ({ago(facts.paused_at, now)}): {reason}{words}.",
        then=f"Next step: {facts.next_step}.{look}",
    )


def _since_last(facts: AccountFacts, now: datetime) -> str:
    return "" if facts.last_ended_at is None else f" since the last image ended {ago(facts.last_ended_at, now)}"
