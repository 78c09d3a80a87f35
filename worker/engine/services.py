"""What the steps and the dispatcher work with: the outside parts, the clock, chance, and the policies."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, Self, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.core.db.group_commit import GroupCommit, Write
from worker.core.db.session import Database
from worker.core.rules import content_codes
from worker.core.rules.retry import ReplayPolicy
from worker.engine.download_pool import Collectors
from worker.engine.latencies import Latencies
from worker.engine.queries.steps import Work
from worker.engine.rules.polling import PollSchedule
from worker.provider.client import Client
from worker.provider.model_listing import ModelListing
from worker.storage.fetch import proxy
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.fetch.budget import FetchBounds
from worker.storage.fetch.proxy import ProxyFor
from worker.storage.store import Store

Item = TypeVar("Item")
Result = TypeVar("Result")

Then = Callable[[Callable[[], Result]], None]
"""Is told what came of something that was to be written: it calls what it is given, which gives the result or raises.

It may be called in the thread that writes, so it hands nothing in itself, which could wait for that thread for ever.
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
    refused_content: frozenset[str] = content_codes.DEFAULT
    """The provider's codes for content that it refuses."""
    has_brakes: bool = True
    """Whether failures of many prompts, and creates in a row without an answer, pause the account."""
    unproved_window: int | None = None
    """Generations that may be open while none has succeeded for a while; None: as many as at other times."""
    references: FetchBounds = field(default_factory=FetchBounds)
    """The most that fetching all references of one message may take."""
    wallet_floor: int | None = None
    """Admission stops before the wallet has fewer credits; None: it goes on until the provider refuses."""


class StepItem(Protocol):
    """What is written for a claimed step."""

    @property
    def work(self) -> Work:
        """The step."""


OfStep = TypeVar("OfStep", bound=StepItem)


@dataclass(frozen=True, kw_only=True)
class Writers:
    """The two threads of a node that write for the others.

    Claims have one for themselves, and transactions in which nothing else can wait: a lease runs from its claim.
    """

    claims: GroupCommit
    outcomes: GroupCommit

    @classmethod
    def of(cls, transaction: Callable[[], AbstractContextManager[Connection]]) -> Self:
        """Start no thread before there is something to write; an answer is written even while the process ends."""
        return cls(
            claims=GroupCommit("claims", transaction),
            outcomes=GroupCommit("outcomes", transaction, is_to_the_last=True),
        )


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
    """The database's time as aware UTC: what is stored or compared with what is stored is told by no other clock."""
    jitter: Callable[[], float]
    """A random number from 0 to 1."""
    new_id: Callable[[], UUID]
    """A new UUIDv7."""
    clock_uncertainty: Callable[[], timedelta] = lambda: timedelta(0)
    """The most by which ``clock`` is off; it is kept clear of where a second payment depends on it."""
    pause: Callable[[float], None]
    """Sleep so many seconds, fewer than one: only ever until a slot of the pace begins."""
    collectors: Collectors = field(default_factory=Collectors)
    """The threads that download images; by default each is downloaded where it was found."""
    listing: ModelListing = field(default_factory=ModelListing)
    """The provider's list of models, as it was last read."""
    message_waits: threading.Event = field(default_factory=threading.Event)
    """Set when a message waits for its references, or a thread that fetches them is free again."""
    writers: Writers | None = None
    """Write together what the threads of a node have to write; None: each writes for itself, at once.

    With them collectors need threads: an image is not downloaded in a thread that writes.
    """

    def claimed(self, write: Write["Services", Item, Result], item: Item) -> Result:
        """Return the result for an item when it is committed: before a call is made, or a promise given."""
        return self._written(self.writers.claims if self.writers else None, write, item)

    def write(self, write: Write["Services", Item, Result], item: Item) -> Result:
        """Return the result for an outcome when it is committed."""
        return self._written(self.writers.outcomes if self.writers else None, write, item)

    def record(
        self, write: Write["Services", OfStep, Result], item: OfStep, then: Then[Result], *, is_alone: bool = False
    ) -> None:
        """Have an outcome written soon, and go on; ``then`` is called after it with what gives its result, or raises.

        One that ``is_alone`` has a transaction for itself, and is written before this returns.
        """
        if is_alone or self.writers is None:
            then(lambda: self._written(None, write, item))
            return
        future = self.writers.outcomes.write(write, self, item)
        future.add_done_callback(lambda done: _go_on(item.work, then, done))

    def _written(self, group: GroupCommit | None, write: Write["Services", Item, Result], item: Item) -> Result:
        if group is not None:
            return group.write(write, self, item).result()
        with self.database.transaction() as tx:
            return write(tx, self, [item])[0]


def _go_on(work: Work, then: Then[Result], done: "Future[Result]") -> None:
    try:
        then(done.result)
    except BaseException:
        # Mostly this is the thread that writes for all. The step's lease ends, and it is handed out again.
        log.exception("step.failed", job=str(work.job_id), step=work.kind)
