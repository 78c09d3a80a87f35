"""Everything that the sandbox knows while it runs, and the few ways in which that changes."""

import heapq
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from aiohttp import web

from ops.sandbox.books import Counting
from ops.sandbox.faults import Faults
from ops.sandbox.idempotency import Idempotency, Slot
from ops.sandbox.journal import Journal
from ops.sandbox.keys import ApiKey
from ops.sandbox.limits import Limits
from ops.sandbox.settings import Settings
from ops.sandbox.tasks import Task, view
from ops.sandbox.uploads import Blobs, StoredFile
from ops.sandbox.wallet import Wallet
from ops.sandbox.web.errors import ApiError
from ops.sandbox.webhooks import Endpoint, Sender

MAIN_ACCOUNT = "acct_main"
_COUNTS_EVERY_S = 1.0


class World:
    """Keys, wallets, files, generations and counts; each change is journalled as it happens."""

    def __init__(self, settings: Settings, journal: Journal, blobs: Blobs, *, boot: int = 0) -> None:
        self.settings = settings
        self.journal = journal
        self.blobs = blobs
        self.base_url = ""
        self.main_secret = ""
        self.clock_offset_s = 0.0
        self.keys: dict[str, ApiKey] = {}
        self.wallets: dict[str, Wallet] = {}
        self.files: dict[str, StoredFile] = {}
        self.tasks: dict[str, Task] = {}
        self.counting = Counting()
        self.idempotency = Idempotency()
        self.limits = Limits()
        self.endpoints: dict[str, Endpoint] = {}
        self.sender = Sender(self.now, lambda: self.settings)
        self.reseed(boot)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._due_number = 0
        self._counts_saved_at = 0.0

    def reseed(self, boot: int) -> None:
        """The dice start anew; each start of the process has its own sequence."""
        seed = f"{self.settings.seed}:{boot}"
        self.faults = Faults(seed)
        self._latency_dice = random.Random(f"{seed}:latency")
        self.sender.reseed(f"{seed}:webhooks")

    def now(self) -> float:
        """Seconds since 1970 on the sandbox's own clock, which tests may move forward."""
        return time.time() + self.clock_offset_s

    def latency_s(self) -> float:
        """How long the next generation takes."""
        median = self.settings.latency_median_s
        if median <= 0:
            return 0.0
        return self._latency_dice.lognormvariate(math.log(median), self.settings.latency_sigma)

    def advance(self) -> float:
        """What the clock has brought since the last call is in the wallets; gives the time."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        if now - self._counts_saved_at >= _COUNTS_EVERY_S:
            self.save_counts(now)
        return now

    def save_counts(self, now: float) -> None:
        """The counts are in the journal; a killed process loses those of its last second and no money."""
        self._counts_saved_at = now
        if fresh := self.counting.unsaved():
            self.journal.write("counts", fresh)

    def add_key(self, key: ApiKey) -> None:
        """A new key; its account is opened with the first one."""
        self.put_key(key)
        if key.account not in self.wallets:
            self.add_credits(key.account, self.settings.wallet)

    def put_key(self, key: ApiKey) -> None:
        """This key replaces the one with its secret."""
        self.keys[key.secret] = key
        self.journal.write("key", asdict(key))

    @property
    def main_key(self) -> ApiKey:
        """The key that the process announced."""
        return self.keys[self.main_secret]

    def add_credits(self, account: str, amount: int) -> None:
        """The wallet has that much more, or less; below zero, too."""
        wallet = self.wallets.setdefault(account, Wallet())
        wallet.add(amount)
        self.journal.write("credits", {"account": account, "amount": amount})

    def refill(self, account: str) -> None:
        """The wallet is full again if it is low and the settings say so."""
        available = self.wallets[account].available
        if available < self.settings.refill_below:
            self.add_credits(account, self.settings.wallet - available)

    def add_file(self, stored: StoredFile) -> None:
        """An upload whose bytes are kept already."""
        self.files[stored.id] = stored
        self.journal.write("file", asdict(stored))

    def add_task(self, task: Task, slot: Slot | None) -> None:
        """A new generation, its credits set aside, its end planned."""
        self.journal.write("task", {"task": task.as_json(), "slot": slot})
        self.put_task(task, slot)
        if task.ends_at is not None:
            show = partial(view, task, task.ends_at, base_url=self.base_url, settings=self.settings)
            mine = [each for each in self.endpoints.values() if each.account == task.account]
            self.sender.plan_end(mine, show, began_at=task.created_at, ends_at=task.ends_at)

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Webhooks of its account go there from now on."""
        self.endpoints[endpoint.id] = endpoint
        self.journal.write("endpoint", endpoint.as_json())

    def drop_endpoint(self, endpoint: Endpoint) -> None:
        """No webhooks go there any more."""
        del self.endpoints[endpoint.id]
        self.journal.write("endpoint_dropped", {"id": endpoint.id})

    def put_task(self, task: Task, slot: Slot | None) -> None:
        """The same without a line in the journal."""
        self.tasks[task.id] = task
        if slot is not None:
            self.idempotency.remember(slot, task.fingerprint, task.created_at, task.id)
        if task.held:
            self.wallets[task.account].reserve(task.held)
            self._plan_end(task)

    def burn_key(self, slot: Slot, fingerprint: str, refusal: ApiError) -> None:
        """A refusal is remembered under its Idempotency-Key."""
        at = self.now()
        self.idempotency.burn(slot, fingerprint, at, refusal)
        refusal_json = {"status": refusal.status, "code": refusal.code, "message": refusal.message}
        self.journal.write("burn", {"slot": slot, "fingerprint": fingerprint, "at": at, "refusal": refusal_json})

    def move_clock(self, seconds: float) -> None:
        """The clock is that much further on."""
        self.clock_offset_s += seconds
        self.journal.write("clock", {"offset_s": self.clock_offset_s})

    def change_settings(self, changes: Mapping[str, object], *, anew: bool) -> None:
        """The changes are in force, on the present settings or on the defaults; raises SettingsError."""
        before = self.settings
        self.settings = (Settings() if anew else before).merged(changes)
        if self.settings.seed != before.seed:
            self.reseed(0)

    def _plan_end(self, task: Task) -> None:
        if task.ends_at is None or task.refund_at is None:
            return
        wallet, back = self.wallets[task.account], task.held - task.final
        self._plan(task.ends_at, lambda: wallet.end(held=task.held, final=task.final))
        if back:
            self._plan(task.refund_at, lambda: wallet.give_back(back))

    def plan(self, after_s: float, event: Callable[[], None]) -> None:
        """The event happens so many seconds from now; it is not in the journal."""
        self._plan(self.now() + after_s, event)

    def _plan(self, at: float, event: Callable[[], None]) -> None:
        self._due_number += 1
        heapq.heappush(self._due, (at, self._due_number, event))


WORLD = web.AppKey("world", World)
