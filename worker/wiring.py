"""How the parts are put together from the settings; nothing below this reads the clock, chance or the environment."""

import os
import random
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import structlog

from worker.accounts import binding
from worker.accounts.binding import OtherKey, OtherProvider, Place
from worker.accounts.opening import NotConfigured, account, clock, database, new_id
from worker.accounts.queries import account_limits, pools
from worker.archive.reading import ArchiveReader
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules import errors
from worker.core.rules.errors import DarkroomError
from worker.core.rules.retry import ReplayPolicy
from worker.core.rules.states import HTTP_CONNECT, HTTP_READ, HTTP_SEND, HTTP_TOTAL
from worker.engine.rules.polling import PollSchedule
from worker.engine.services import Collectors, Latencies, Policies, Services, Writers
from worker.provider.client import Client, Timeouts
from worker.provider.session import is_loopback_url
from worker.settings import Settings, variable_of
from worker.storage import store_binding
from worker.storage.fetch import addresses
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.fetch.budget import FetchBounds
from worker.storage.queries import stores
from worker.storage.spool import SpoolFolder
from worker.storage.store import Store, StoreUnavailable, open_store

__all__ = [
    "NO_KEY",
    "NotConfigured",
    "account",
    "client",
    "clock",
    "database",
    "new_id",
    "place",
    "policies",
    "services",
    "services_of_each",
    "store",
]

log = structlog.get_logger(__name__)

NO_KEY = "rvya_sk_none"
"""Sent where no key is set: the provider's own words then say what is missing."""


UNPROVED_WINDOW = 12
"""Generations that may be open at a provider that has made no image for a while: if it fails, so many fail at once."""

HOOK_SENDERS = 8
"""Threads of a node that deliver events to hooks, each to one hook at a time."""


def store(settings: Settings, db: Database | None = None) -> Store:
    """Open the store that the settings name; with a database, only as the store that the account's images lie in."""
    opened = open_store(settings.store_url, spool=SpoolFolder(settings.spool_folder))
    if db is not None:
        with db.transaction() as tx:
            known = stores.of_account(tx, settings.account)
        if known is not None:
            store_binding.bind(opened, db.transaction, known.account_id)
    return opened


def archive(settings: Settings, db: Database) -> ArchiveReader:
    """Return what reads archived batches back from the store that the settings name."""
    return ArchiveReader(lambda: store(settings, db))


def client(settings: Settings) -> Client:
    """Prepare the provider's client; it connects with its first call."""
    key = settings.api_key.get_secret_value() if settings.api_key else NO_KEY
    timeouts = Timeouts(
        connect_s=HTTP_CONNECT.total_seconds(),
        send_s=HTTP_SEND.total_seconds(),
        read_s=HTTP_READ.total_seconds(),
        total_s=HTTP_TOTAL.total_seconds(),
    )
    return Client(
        base_url=settings.base_url,
        api_key=key,
        now=_provider_time,
        timeouts=timeouts,
        refused_content=errors.parse_content_codes(settings.content_codes),
    )


def _provider_time() -> datetime:
    """Return the time to read a date by in an answer that does not say what time it is at the provider."""
    return clock() if clock.is_known else datetime.now(UTC)


def place(settings: Settings) -> Place:
    """Return where the settings have the account's work sent."""
    key = settings.api_key.get_secret_value() if settings.api_key else NO_KEY
    return Place(base_url=settings.base_url, api_key=key, new_mark=binding.mark(key, secrets.token_bytes(16)))


def _starter() -> Author:
    """Name the process that starts as the author of what its settings change."""
    actor = f"{socket.gethostname()}, process {os.getpid()}"
    return Author(actor=actor, reason="it started with this key", now=clock(), new_id=new_id)


def services(settings: Settings, *, is_node: bool = True) -> Services:
    """Put together what a process needs for the account that is meant where none is named.

    A node sets the account to what the settings say; a command that is no node leaves its limits as they are.
    """
    if settings.api_key is None:
        raise NotConfigured(_NO_KEY)
    db = _database(settings, is_node=is_node, accounts=1)
    if is_node:
        clock.keep()
    return _of_account(settings, db, _Shared.of(db, is_node=is_node), is_node=is_node)


def services_of_each(settings: Settings) -> dict[str, Services]:
    """Put together what a node needs for each account that it has a key for, by the account's name.

    One that may not be served, because its key is another account's, is left to other nodes. Raises what forbids it
    when there is none besides.
    """
    served = settings.served
    if not served:
        raise NotConfigured(_NO_KEY)
    db = _database(settings, is_node=True, accounts=len(served))
    # The dispatchers' threads renew it: no other thread of a node waits for the database to be told the time.
    clock.keep()
    # Those without a key here, too: batches may name them.
    account(settings, db)
    shared = _Shared.of(db, is_node=True)
    found: dict[str, Services] = {}
    refused: list[DarkroomError] = []
    for each in served:
        try:
            found[each.account] = _of_account(each, db, shared, is_node=True)
        except (OtherProvider, OtherKey) as error:
            if len(served) > 1:
                log.error("account.not_served", account=each.account, reason=str(error))  # noqa: TRY400 - no crash
            refused.append(error)
    if not found:
        raise refused[0]
    for each in settings.accounts:
        if each.api_key is None:
            step = f"set {variable_of('RIVYA_API_KEY', each.account)}, or leave it to nodes that have its key"
            log.warning("account.without_key", account=each.account, next_step=step)
    return found


_NO_KEY = (
    "RIVYA_API_KEY is not set: a node needs the provider's key, or that of a sandbox"
    " (`darkroom up` brings one, `darkroom sandbox` prints one)"
)


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What the accounts of a process share."""

    senders: Collectors
    writers: Writers | None

    @classmethod
    def of(cls, db: Database, *, is_node: bool) -> Self:
        return cls(senders=Collectors(HOOK_SENDERS), writers=Writers.of(db.transaction) if is_node else None)


def _database(settings: Settings, *, is_node: bool, accounts: int) -> Database:
    # A collector waits for downloads most of the time, and needs a connection only to record them; so does a thread
    # for steps. Each further account has a dispatcher, and its own threads.
    own = settings.concurrency + settings.collectors // 8
    answer_s = settings.database_timeout.total_seconds() if is_node else 75.0
    further = (accounts - 1) * (2 + own // 4)
    return database(settings, connections=own + HOOK_SENDERS + 6 + further, answer_s=answer_s)


def _of_account(settings: Settings, db: Database, shared: _Shared, *, is_node: bool) -> Services:
    account_id = account(settings, db)
    rate = None if settings.rate == "auto" else settings.rate
    provider = client(settings)
    number = binding.bind(db, provider, account_id, place(settings), _starter(), is_node=is_node)
    if is_node:
        with db.transaction() as tx:
            account_limits.follow_settings(
                tx,
                account_id,
                rate=rate,
                max_in_flight=settings.max_in_flight,
                read_rate=settings.read_rate,
                now=clock(),
            )
            pools.set_pools(tx, account_id, settings.pools)
    chosen = policies(settings)
    return Services(
        account_id=account_id,
        account=settings.account,
        database=db,
        binding=number,
        client=provider,
        store=_ready_store(settings, db) if is_node else store(settings, db),
        latencies=Latencies(account_id, chosen.schedule),
        policies=chosen,
        clock=clock,
        clock_uncertainty=clock.uncertainty,
        jitter=random.random,
        new_id=new_id,
        pause=time.sleep,
        collectors=Collectors(settings.collectors),
        senders=shared.senders,
        writers=shared.writers,
    )


def _ready_store(settings: Settings, db: Database) -> Store:
    """Open the store; one that is not there yet keeps no node from starting: what needs it waits."""
    opened = store(settings, db)
    try:
        opened.sweep()
    except StoreUnavailable as error:
        log.error("store.unavailable", store=opened.place, error=str(error))  # noqa: TRY400 - no fault of ours
    return opened


def policies(settings: Settings) -> Policies:
    """Return the policies that the settings choose."""
    return Policies(
        schedule=PollSchedule(first=settings.poll_first, gap=settings.poll_gap),
        replay=ReplayPolicy(window=settings.idempotency_window),
        upload_reuse=settings.upload_reuse,
        max_attempts=settings.max_attempts,
        refused_content=errors.parse_content_codes(settings.content_codes),
        wallet_floor=settings.wallet_floor,
        references=FetchBounds(
            time=settings.references_timeout,
            count=settings.references_count,
            size_bytes=settings.references_bytes,
        ),
        unproved_window=UNPROVED_WINDOW,
        approve_above=settings.approve_above,
        hooks=settings.hook_policy,
        event_retention=settings.event_retention,
        result_addresses=AddressPolicy.for_results(settings.base_url),
        result_proxy=addresses.direct if is_loopback_url(settings.base_url) else addresses.of_environment,
    )
