"""What a batch would do to the wallet and how long it would take, for a plan on the screen or as JSON."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from worker import wiring
from worker.batches.queries import throughput
from worker.batches.queries.throughput import MeasuredPace
from worker.cli import output
from worker.cli.context import Context


def wallet(context: Context) -> int | None:
    """Ask the provider for the balance; None when it does not answer or there is no key."""
    from worker.core.rules.errors import ProviderError

    if not context.has_provider:
        return None
    try:
        return wiring.client(context.settings).credits()
    except ProviderError:
        return None


_MINUTE_S, _HOUR_S = 60, 3600


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The forecast of a batch before it is submitted; unknown values are None."""

    price: int
    wallet: int | None
    pace: MeasuredPace | None
    """None where no account has worked yet, or no database can be asked."""
    images: int
    uploads: int

    @property
    def duration_s(self) -> float | None:
        """How long it would take, alone on its account."""
        return None if self.pace is None else self.pace.duration_s(self.images, uploads=self.uploads)

    @property
    def range_s(self) -> tuple[float, float] | None:
        """Between which bounds."""
        return None if self.pace is None else self.pace.range_s(self.images, uploads=self.uploads)


def forecast(context: Context, *, price: int, images: int, uploads: int) -> Forecast:
    """Ask provider and database; neither has to answer, and nothing is stored."""
    return Forecast(price=price, wallet=wallet(context), pace=_pace(context), images=images, uploads=uploads)


def as_json(found: Forecast) -> dict[str, Any]:
    """The forecast as scripts read it; the bounds are null while fewer than 20 images were made."""
    low, high = found.range_s or (None, None)
    return {
        "wallet": found.wallet,
        "wallet_after": None if found.wallet is None else found.wallet - found.price,
        "duration_s": _rounded(found.duration_s),
        "duration_low_s": _rounded(low),
        "duration_high_s": _rounded(high),
    }


def wallet_line(found: Forecast) -> str:
    """Return the wallet balance, and what would be left of it."""
    if found.wallet is None:
        return "not known: the provider did not say"
    if found.wallet >= found.price:
        return f"{found.wallet:,} now, {found.wallet - found.price:,} afterwards"
    images = found.images * found.wallet // max(found.price, 1)
    return f"{found.wallet:,} now: enough for {images:,} of {found.images:,} images, the others wait for a top-up"


def duration_line(found: Forecast) -> str:
    """Return how long it would take, between which bounds, and what that rests on."""
    pace, seconds = found.pace, found.duration_s
    if pace is None or seconds is None:
        return "not known: no account here has worked yet"
    basis = f"measured over {output.plural(pace.images, 'image')}" if pace.images else "before anything was measured"
    return (
        f"about {_span(seconds)}{_between(found.range_s)} at {pace.rate:.3g} requests/s and"
        f" {1 + pace.polls:.1f} requests an image ({basis})"
    )


def _pace(context: Context) -> MeasuredPace | None:
    if context.settings.database_url is None:
        return None
    database = wiring.database(context.settings, connections=1)
    try:
        with database.transaction() as tx:
            return throughput.pace_of(tx, context.settings.account)
    except DBAPIError:
        return None
    finally:
        database.close()


def _between(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return ""
    low, high = map(_span, bounds)
    return "" if low == high else f", from {low} to {high},"


def _span(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < 2 * _HOUR_S else f"{seconds / _HOUR_S:.1f} h"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
