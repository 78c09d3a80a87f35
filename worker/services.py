"""What the steps and the dispatcher work with: the outside parts, the clock, chance, and the policies."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from worker.collectors import Collectors
from worker.db.group_commit import GroupCommit, Write
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

Then = Callable[[Callable[[], Result]], None]
"""Is told what came of something that was to be written: it calls what it is given, which gives the result or raises.
"""

log = structlog.get_logger(__name__)


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
    commits: GroupCommit | None = None
    """Writes together what the threads of a node have to write; None: each writes for itself, at once."""

    def begin(self, write: Write["Services", Item, Result], item: Item) -> "Future[Result]":
        """Have an item written soon, in one transaction with those of other threads; the future ends after it."""
        if self.commits is not None:
            return self.commits.write(write, self, item)
        future: Future[Result] = Future()
        future.set_result(self._written_alone(write, item))
        return future

    def write(self, write: Write["Services", Item, Result], item: Item) -> Result:
        """Give the result for an item when it is committed."""
        return self.begin(write, item).result()

    def record(
        self, write: Write["Services", Item, Result], item: Item, then: Then[Result], *, is_alone: bool = False
    ) -> None:
        """Have an item written soon, and go on; ``then`` is called after it with what gives its result, or raises.

        One that ``is_alone`` has a transaction for itself, and is written before this returns.
        """
        if is_alone or self.commits is None:
            then(lambda: self._written_alone(write, item))
            return
        self.begin(write, item).add_done_callback(lambda future: _go_on(then, future))

    def _written_alone(self, write: Write["Services", Item, Result], item: Item) -> Result:
        with self.database.transaction() as tx:
            return write(tx, self, [item])[0]


def _go_on(then: Then[Result], future: "Future[Result]") -> None:
    try:
        then(future.result)
    except Exception:
        # Its lease ends, and it is handed out again.
        log.exception("step.failed")
