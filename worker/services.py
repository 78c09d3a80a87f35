"""What the steps and the dispatcher work with: the outside parts, the clock, chance, and the policies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from worker.collectors import Collectors
from worker.db.session import Database
from worker.domain.polling import PollSchedule
from worker.domain.retry import ReplayPolicy
from worker.latencies import Latencies
from worker.media import proxy
from worker.media.addresses import AddressPolicy
from worker.media.proxy import ProxyFor
from worker.media.store import Store
from worker.rivya.client import Client

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What an operator may choose."""

    schedule: PollSchedule
    replay: ReplayPolicy
    upload_reuse: timedelta
    max_attempts: int
    result_addresses: AddressPolicy
    result_proxy: ProxyFor = proxy.none
    """The way to the results, as the environment says; references of producers are only fetched directly."""
    wallet_floor: int | None = None
    """Admission stops before the wallet has fewer credits; None: it goes on until the provider refuses."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """One process's parts; safe to share between its threads."""

    account_id: UUID
    binding: int = 1
    """Which binding of the account this process was put together for."""
    database: Database
    client: Client
    store: Store
    latencies: Latencies
    policies: Policies
    clock: Callable[[], datetime]
    """Aware UTC; all nodes are kept in step by NTP, ``darkroom doctor`` says if not."""
    jitter: Callable[[], float]
    """A random number from 0 to 1."""
    new_id: Callable[[], UUID]
    """A new UUIDv7."""
    pause: Callable[[float], None]
    """Sleep so many seconds, fewer than one: only ever until a slot of the pace begins."""
    collectors: Collectors = field(default_factory=Collectors)
    """The threads that bring images home; by default each is brought where it was found."""

    def write(
        self,
        write: Callable[[Connection, "Services", Sequence[Item]], Sequence[Result]],
        item: Item,
        *,
        is_alone: bool = False,
    ) -> Result:
        """Give the result for an item that is written in one transaction with those of other threads, or alone."""
        if is_alone:
            with self.database.transaction() as tx:
                return write(tx, self, [item])[0]
        return self.database.group.write(write, self, item)
