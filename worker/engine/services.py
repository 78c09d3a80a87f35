"""What steps and the dispatcher work with: clients, store, clock, chance, policies, and the threads for downloads."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.accounts.rules.learned_rate import StatedLimit
from worker.core import tracing
from worker.core.db.group_commit import GroupCommit, Write
from worker.core.db.session import Database
from worker.core.rules import errors
from worker.core.rules.retry import ReplayPolicy
from worker.core.rules.setting_values import HookPolicy
from worker.core.rules.states import StepKind
from worker.engine.queries import generations as stored
from worker.engine.queries import hints as stored_hints
from worker.engine.rules import polling
from worker.engine.rules.call import Call
from worker.engine.rules.hints import HintedSchedule, Hints, Observation
from worker.engine.rules.polling import Histogram, LearnedSchedule, PollSchedule
from worker.provider.client import Client, ModelListing
from worker.storage.fetch import addresses
from worker.storage.fetch.addresses import AddressPolicy, ProxyFor
from worker.storage.fetch.budget import FetchBounds
from worker.storage.store import Store

Item = TypeVar("Item")
Result = TypeVar("Result")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What an operator may choose."""

    schedule: PollSchedule
    replay: ReplayPolicy
    upload_reuse: timedelta
    max_attempts: int
    result_addresses: AddressPolicy
    result_proxy: ProxyFor = addresses.direct
    """The way to the results, as the environment says; references of producers are only fetched directly."""
    refused_content: frozenset[str] = errors.REFUSED_CONTENT
    """The provider's codes for content that it refuses."""
    has_brakes: bool = True
    """Whether failures of many prompts, and creates in a row without an answer, pause the account."""
    unproved_window: int | None = None
    """Generations that may be open while none has succeeded for a while, or they fail in a row; None: no such bound."""
    approve_above: int | None = None
    """Batches and plans of more credits wait for a second person; None: none does."""
    references: FetchBounds = field(default_factory=FetchBounds)
    """The most that fetching all references of one message may take."""
    hooks: HookPolicy = field(default_factory=HookPolicy)
    """The commands that hooks may run here, and the private hosts that they may post to."""
    event_retention: timedelta = timedelta(days=30)
    """How long events that were told, and the numbers of ends that were sent, are kept."""
    wallet_floor: int | None = None
    """Admission stops before the wallet has fewer credits; None: it goes on until the provider refuses."""


@dataclass(frozen=True, kw_only=True)
class Writers:
    """The two group-commit threads of a node.

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


Job = Callable[[], None]


class Collectors:
    """A bounded pool of threads; safe to share between threads."""

    def __init__(self, threads: int = 0) -> None:
        """Start no thread before there is something to do; without any, jobs are done where they are handed in."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="darkroom-collector") if threads else None
        self._room = threading.Semaphore(threads * (1 + WAITING_PER_THREAD))
        self._ending = threading.Event()
        self._entrance = threading.Lock()

    def take(self, do: Job, leave: Job) -> None:
        """Have ``do`` done soon in one of the threads; or ``leave``, when there is no room or the process is ending."""
        if self._pool is None:
            do()
        elif not self._is_taken(self._pool, do, leave):
            leave()

    def end(self) -> None:
        """Begin nothing more: what waits is left."""
        with self._entrance:
            self._ending.set()

    def drain(self) -> None:
        """Return when all that was begun has ended, and all that waited was left."""
        self.end()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _is_taken(self, pool: ThreadPoolExecutor, do: Job, leave: Job) -> bool:
        # The pool refuses with an error what comes after its end.
        with self._entrance:
            if self._ending.is_set() or not self._room.acquire(blocking=False):
                return False
            pool.submit(tracing.carried(self._run), do, leave).add_done_callback(self._done)
            return True

    def _run(self, do: Job, leave: Job) -> None:
        (leave if self._ending.is_set() else do)()

    def _done(self, job: "Future[None]") -> None:
        self._room.release()
        if error := job.exception():
            # Its lease ends, and it is handed out again.
            log.error("step.failed", step="collect", exc_info=error)


class Latencies:
    """Observations per model, with and without a reference, and of webhooks; safe to share between threads."""

    def __init__(self, account_id: UUID, documented: PollSchedule) -> None:
        """Start knowing nothing."""
        self._account_id = account_id
        self._documented = documented
        self._lock = threading.Lock()
        self._new: dict[tuple[str, bool], list[tuple[timedelta, timedelta]]] = defaultdict(list)
        self._seen: dict[tuple[str, bool], Histogram] = {}
        self._shared_at: datetime | None = None
        self._new_ends: list[Observation] = []
        self._hints: Hints | None = None
        """None: the account has no endpoint of webhooks."""
        self.saturation = 0.0
        """As the account's row has it, since the last round of dispatch."""

    def schedule(self, model: str, *, has_reference: bool) -> LearnedSchedule | HintedSchedule:
        """Return the schedule by which generations of this kind are polled now."""
        seen = self.seen(model, has_reference)
        usual = LearnedSchedule(documented=self._documented, seen=seen, saturation=self.saturation)
        return usual if self._hints is None else HintedSchedule(usual=usual, hints=self._hints)

    def seen(self, model: str, has_reference: bool) -> Histogram:  # noqa: FBT001 - called by position
        """Return what is known of how long generations of this kind take."""
        return self._seen.get((model, has_reference), _UNKNOWN)

    def observe(self, model: str, *, has_reference: bool, low: timedelta, high: timedelta) -> None:
        """Keep that a generation of this kind ended between two ages."""
        with self._lock:
            self._new[model, has_reference].append((low, high))

    def observe_end(self, seen: Observation) -> None:
        """Keep what a generation that has ended says of webhooks, if any are expected."""
        if self._hints is not None:
            with self._lock:
                self._new_ends.append(seen)

    def share(self, database: Database, now: datetime) -> bool:
        """Write what is new and read what all nodes know, if it is time; True when it was."""
        # A last time that lies ahead is that of a clock that was set back since.
        if self._shared_at is not None and self._shared_at <= now < self._shared_at + SHARE_EVERY:
            return False
        self._shared_at = now
        with self._lock:
            news, self._new = self._new, defaultdict(list)
            ends, self._new_ends = self._new_ends, []
        with database.transaction() as tx:
            for (model, has_reference), observations in sorted(news.items()):
                before = stored.lock_latencies(tx, self._account_id, model, has_reference=has_reference)
                after = polling.merged(before, observations)
                stored.save_latencies(
                    tx, self._account_id, model, has_reference=has_reference, histogram=after, now=now
                )
            self._seen = stored.latencies(tx, self._account_id)
            self._hints = self._shared_hints(tx, ends, now)
        return True

    def _shared_hints(self, tx: Connection, ends: Sequence[Observation], now: datetime) -> Hints | None:
        if not stored_hints.has_endpoint(tx, self._account_id):
            return None
        if not ends:
            return stored_hints.read(tx, self._account_id)
        known = stored_hints.lock(tx, self._account_id)
        for each in ends:
            known = known.observe(each)
        stored_hints.save(tx, self._account_id, known, now=now)
        return known


class Meters:
    """What a process measures of its own work; safe to share between threads.

    This one keeps nothing; a node has meters that count (``worker.node.metrics``).
    """

    def called(self, call: Call) -> None:
        """Count a call that has ended."""

    def stepped(self, kind: StepKind, took: timedelta) -> None:
        """Keep how long a step took in this process."""

    def queued(self, waited: timedelta) -> None:
        """Record how long a job waited before its first request."""

    def detected(self, *, provider: timedelta, lag: timedelta) -> None:
        """Keep how long a generation took at the provider, and how long after that its end was seen."""


@dataclass(kw_only=True)
class LimitWords:
    """The limit that was stated last; when threads race, one wins, which costs a request or a short wait."""

    last: StatedLimit = field(default_factory=StatedLimit)


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a process has for one account; safe to share between its threads.

    Those of several accounts share the database, the writers and the senders.
    """

    account_id: UUID
    account: str = "default"
    """The account's name."""
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
    senders: Collectors = field(default_factory=Collectors)
    """The threads that deliver events to hooks; by default each is delivered where it was found due."""
    meters: Meters = field(default_factory=Meters)
    """What this process measures of its own work."""
    listing: ModelListing = field(default_factory=ModelListing)
    """The provider's list of models, as it was last read."""
    limit_words: LimitWords = field(default_factory=LimitWords)
    """What answers to this process said of the account's limit."""
    producers: dict[UUID, str | None] = field(default_factory=dict)
    """By batch the span of its producer, as far as steps have been traced."""
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

    def _written(self, group: GroupCommit | None, write: Write["Services", Item, Result], item: Item) -> Result:
        if group is not None:
            return group.write(write, self, item).result()
        with self.database.transaction() as tx:
            return write(tx, self, [item])[0]


WAITING_PER_THREAD = 2
"""Images that may wait for a thread; with more, they wait in the database, where any node finds them."""
SHARE_EVERY = timedelta(seconds=5)
"""How often observations are written and read; those of a node that dies in between are lost, which is no harm."""
_UNKNOWN = Histogram()
