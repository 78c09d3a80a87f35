"""Each part of Darkroom looked at once, without spending anything: what is found, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker import wiring
from worker.cli import migrate, nodes, scopes
from worker.cli.context import Context, no_database
from worker.db import accounts, in_hand, overview
from worker.domain.errors import PauseReason, ProviderError
from worker.domain.in_hand import ALARM_AFTER, GRAVE_AFTER
from worker.domain.model_spec import MODELS
from worker.media.store import StoreUnavailable
from worker.rivya.client import Client

_SKEW_WARNING_S = 1.0
"""Leases last half a minute and longer; far smaller differences are harmless."""


class Verdict(StrEnum):
    """How one part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part, and what there is to say about it."""

    part: str
    verdict: Verdict
    detail: str
    next_step: str = ""


def examine(context: Context) -> Iterator[Finding]:
    """Give a finding for every part, one after the other."""
    yield from _database(context)
    yield from _broker(context)
    yield _store(context)
    yield from _provider(context)


def _ok(part: str, detail: str) -> Finding:
    return Finding(part=part, verdict=Verdict.OK, detail=detail)


def _warning(part: str, detail: str, next_step: str) -> Finding:
    return Finding(part=part, verdict=Verdict.WARNING, detail=detail, next_step=next_step)


def _failed(part: str, detail: str, next_step: str) -> Finding:
    return Finding(part=part, verdict=Verdict.FAILED, detail=detail, next_step=next_step)


def _database(context: Context) -> Iterator[Finding]:
    if context.settings.database_url is None:
        yield _failed("database", "none", no_database(context.found))
        return
    database = wiring.database(context.settings, connections=1)
    try:
        with database.transaction() as tx:
            yield _server(tx)
            yield _clock(tx)
            migrations = _migrations(tx)
            yield migrations
            if migrations.verdict is Verdict.OK:
                yield _account(tx, context)
                yield _in_hand(tx, context)
    except DBAPIError as error:
        reason = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
        yield _failed("database", f"does not answer: {reason}", "check DARKROOM_DATABASE_URL, and that it runs")
    finally:
        database.close()


def _server(tx: Connection) -> Finding:
    return _ok("database", overview.server(tx))


def _clock(tx: Connection) -> Finding:
    skew = accounts.clock_skew(tx, wiring.clock()).total_seconds()
    detail = f"{skew:+.3f} s against the database's"
    if abs(skew) > _SKEW_WARNING_S:
        return _warning("clock", detail, "keep both machines in step with NTP: leases and due times depend on it")
    return _ok("clock", detail)


def _migrations(tx: Connection) -> Finding:
    found, wanted = migrate.current(tx), migrate.head()
    if found == wanted:
        return _ok("migrations", f"at {found}, the newest")
    return _failed("migrations", f"at {found or 'nothing'}, newest is {wanted}", "run `alembic upgrade head`")


def _account(tx: Connection, context: Context) -> Finding:
    name = context.settings.account
    found = overview.pause(tx, name)
    if found is None:
        return _ok("account", f"{name!r} is new: the first node or batch makes it")
    if found.reason is None:
        return _ok("account", f"{name!r} is not paused")
    since = f"since {found.since:%Y-%m-%d %H:%M} UTC"
    words = f": {found.message}" if found.message else ""
    step = overview.next_step_of(PauseReason(found.reason))
    return _warning("account", f"{name!r} paused ({found.reason}) {since}{words}", step)


def _in_hand(tx: Connection, context: Context) -> Finding:
    found, now = in_hand.of_account(tx, context.settings.account), wiring.clock()
    if found.since is None:
        return _ok("images", "every paid image is in hand")
    detail = f"{found.count:,} paid and not in hand, the oldest since {found.since:%Y-%m-%d %H:%M} UTC"
    if not found.is_older_than(ALARM_AFTER, now=now):
        return _ok("images", f"{detail}: on their way")
    judge = _failed if found.is_older_than(GRAVE_AFTER, now=now) else _warning
    return judge(
        "images",
        detail,
        "see result.not_in_hand in the nodes' log, and mend the store or the way to the provider's images: they are"
        " asked for during a day",
    )


def _broker(context: Context) -> Iterator[Finding]:
    try:
        found = nodes.alive(context)
    except nodes.BrokerUnreachable as error:
        yield _failed("broker", str(error), "check DARKROOM_BROKER_URL, and that it runs")
        return
    kind = "" if context.settings.broker_url is None else context.settings.broker_url.get_secret_value()
    yield _ok("broker", f"answers ({kind.split(':', 1)[0]})")
    if found:
        yield _ok("nodes", ", ".join(found))
    else:
        yield _warning("nodes", "none answers", "start one: `darkroom up`, or `celery -A worker.celery_app worker`")


def _store(context: Context) -> Finding:
    place = context.settings.store_url
    try:
        wiring.store(context.settings).check()
    except (StoreUnavailable, ValueError) as error:
        return _failed("store", str(error), "check DARKROOM_STORE and its permissions")
    return _ok("store", f"{place}: written, read and deleted")


def _provider(context: Context) -> Iterator[Finding]:
    if not context.has_provider:
        yield _failed("provider", "no key, and no sandbox runs here", "set RIVYA_API_KEY, or start `darkroom up`")
        return
    client = wiring.client(context.settings)
    kind = "sandbox" if context.is_play else "live"
    yield _asked("key", lambda: _wallet(client, kind))
    yield _asked("scopes", lambda: _scopes(client))
    yield _asked("prices", lambda: _prices(client))


def _asked(part: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return ask()
    except ProviderError as error:
        return _failed(part, str(error), "check RIVYA_API_KEY and RIVYA_BASE_URL, and the key at the provider's site")


def _wallet(client: Client, kind: str) -> Finding:
    balance = client.credits()
    detail = f"{kind}: key accepted, scope credits:read; wallet {balance:,} credits"
    price = min(spec.credits for spec in MODELS.values())
    if balance < price:
        return _warning("key", detail, f"the wallet is too low for one image ({price} credits): top it up")
    return _ok("key", detail)


def _scopes(client: Client) -> Finding:
    present, lacking = scopes.of_reading(client)
    if lacking:
        step = "give the key these scopes at the provider's site, or use a new key, which has all of them"
        return _failed("scopes", f"the key lacks {', '.join(lacking)}", step)
    return _ok("scopes", f"{', '.join(present)}; {scopes.UNPROVED}")


def _prices(client: Client) -> Finding:
    listed = {model.id: model.base_credits for model in client.models()}
    drifted = [
        f"{spec.id} costs {listed[spec.id]} and {spec.credits} is held"
        for spec in MODELS.values()
        if listed.get(spec.id) not in (None, spec.credits)
    ]
    unlisted = [name for name in MODELS if listed.get(name) is None]
    if drifted:
        return _failed("prices", "; ".join(drifted), "upgrade Darkroom before you submit: caps and prices are off")
    if unlisted:
        return _warning("prices", f"not listed: {', '.join(unlisted)}", "look at the provider's list of models")
    return _ok("prices", ", ".join(f"{spec.id} {spec.credits} credits, as listed" for spec in MODELS.values()))
