"""A worker node in one thread: real database, store, client and provider; only the clock is moved by hand."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.pipeline.hooked import Crash, Fuse, HookedClient, HookedDatabase, HookedStore, Listener
from worker.accounts.queries import accounts
from worker.batches.queries import overview
from worker.batches.queries.overview import Overview
from worker.core.db.changes import Author
from worker.core.rules.retry import ReplayPolicy
from worker.engine import checks, dispatch
from worker.engine.queries import batches
from worker.engine.queries import maintenance as maintenance_rows
from worker.engine.queries.steps import Ticket
from worker.engine.rules.polling import PollSchedule
from worker.engine.services import Latencies, Policies, Services
from worker.engine.steps.perform import perform
from worker.enqueue import enqueue
from worker.intake.write import Receipt
from worker.node import maintenance
from worker.provider.client import Timeouts
from worker.storage import store_binding
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.folder import Folder

START = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
TICK = timedelta(seconds=1)
ROUNDS = 20_000
EVERY = {
    "wallet": timedelta(minutes=1),
    "seal": timedelta(hours=1),
    "reread": timedelta(minutes=15),
}
"""How often the usual maintenance is done, on a node that is told to."""


@dataclass(kw_only=True)
class Clock:
    """A clock that stands still until it is moved; all nodes of a test share one."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, span: timedelta) -> None:
        self.now += span

    def pause(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))


@dataclass(kw_only=True)
class Node:
    """One worker node, and the questions that a test asks of its database."""

    services: Services
    clock: Clock
    folder: Path
    deliveries: int = 1
    """How often each message arrives."""
    handed_out: list[Ticket] = field(default_factory=list)
    """Every ticket so far, so that a test can deliver it again."""

    def submit(self, *requests: Mapping[str, object], **batch: object) -> Receipt:
        """Enqueue a batch; paths of references are relative to the node's folder."""
        with self.services.database.transaction() as tx:
            return enqueue(tx, batch, requests, base=self.folder, store=self.services.store)

    def round(self) -> dispatch.Round:
        """Do one round of dispatch and all that it hands out, with the steps that follow at once."""
        decided = dispatch.run(self.services)
        self.deliver(decided.tickets)
        if decided.is_probe_due:
            checks.check_account(self.services)
        for kind in decided.maintenance:
            maintenance.run(self.services, kind)
        return decided

    def deliver(self, tickets: Iterable[Ticket]) -> None:
        """Do each ticket when its slot begins."""
        for ticket in tickets:
            self.handed_out.append(ticket)
            self.clock.now = max(self.clock.now, ticket.not_before)
            for _ in range(self.deliveries):
                perform(self.services, ticket)

    def run_for(self, span: timedelta) -> None:
        """Work until the clock has moved on by the span."""
        end = self.clock.now + span
        for _ in range(ROUNDS):
            if self.clock.now >= end:
                return
            decided = self.round()
            self.clock.now = max(self.clock.now, min(decided.look_again_at or end, end))
        raise AssertionError(f"still busy after {ROUNDS} rounds, at {self.clock.now}")

    def run_until_quiet(self) -> None:
        """Work until three looks in a row find nothing that is due now or later."""
        quiet = 0
        for _ in range(ROUNDS):
            decided = self.round()
            is_idle = not decided.tickets and decided.look_again_at is None
            quiet = quiet + 1 if is_idle else 0
            if quiet == 3:
                return
            self.clock.now = max(self.clock.now, decided.look_again_at or self.clock.now + TICK)
        raise AssertionError(f"not quiet after {ROUNDS} rounds, at {self.clock.now}")

    def run_until_crash(self) -> str | None:
        """Work until the node's fuse burns or it is quiet; say where it burnt."""
        try:
            self.run_until_quiet()
        except Crash as crash:
            return str(crash.args[0])
        return None

    def keep(self, every: Mapping[str, timedelta]) -> None:
        """Have each of these kinds of maintenance done so often from now on."""
        with self.services.database.transaction() as tx:
            maintenance_rows.configure(tx, self.services.account_id, every, now=self.clock())

    def author(self, reason: str | None = None) -> Author:
        """Return who changes something at this instant."""
        return Author(actor="ann", reason=reason, now=self.clock(), new_id=self.services.new_id)

    def limit(self, *, rate: float | None, window: int = 100) -> None:
        """Set the account's rate, and how many live jobs it may have."""
        with self.services.database.transaction() as tx:
            accounts.configure(tx, self.services.account_id, rate=rate, max_in_flight=window, now=self.clock())

    def overview(self) -> Overview:
        """Return where the newest batch stands."""
        with self.services.database.transaction() as tx:
            return overview.read(tx, batches.newest(tx, limit=1)[0], now=self.clock())

    def query(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries; it may change what the program has no right to."""
        with self.services.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            return [dict(row) for row in tx.execute(text(statement), values).mappings()]

    def jobs(self) -> list[str]:
        """Return the states of all jobs in line order."""
        return [row["state"] for row in self.query("SELECT state FROM job ORDER BY batch_id, line")]

    def failures(self) -> list[str]:
        """Return the failure code of each job that has one, in line order."""
        rows = self.query("SELECT failure_code FROM job WHERE failure_code IS NOT NULL ORDER BY line")
        return [row["failure_code"] for row in rows]

    def generations(self) -> list[str]:
        """Return the states of all generations in the order of their making."""
        return [row["state"] for row in self.query("SELECT state FROM generation ORDER BY id")]

    def entries(self) -> list[tuple[str, int]]:
        """Return kind and credits of each entry of the ledger, in the order of writing."""
        return [(r["kind"], r["credits"]) for r in self.query("SELECT kind, credits FROM credit_entry ORDER BY id")]

    def pause_reason(self) -> str | None:
        """Return the reason why the account is paused."""
        reason: str | None = self.query("SELECT pause_reason FROM account")[0]["pause_reason"]
        return reason


def make(
    database_url: str,
    folder: Path,
    clock: Clock,
    *,
    base_url: str,
    key: str,
    listener: Listener = lambda _: None,
    window: timedelta = timedelta(hours=1),
    binding: int = 1,
    account: str = "default",
) -> Node:
    """Return a node of one account; any number of them may share a database, a folder, a clock and a provider."""
    database = HookedDatabase(database_url, connections=2)
    database.listener = lambda _: None
    account_id = _account(database, clock, account)
    client = HookedClient(
        base_url=base_url,
        api_key=key,
        now=clock,
        timeouts=Timeouts(connect_s=2, read_s=2, total_s=3),
    )
    store = HookedStore(Folder(folder))
    client.listener = store.listener = database.listener = listener
    store_binding.bind(store, database.transaction, account_id)
    schedule = PollSchedule(first=timedelta(seconds=2.5), gap=timedelta(seconds=5))
    services = Services(
        account_id=account_id,
        binding=binding,
        database=database,
        client=client,
        store=store,
        latencies=Latencies(account_id, schedule),
        policies=Policies(
            schedule=schedule,
            replay=ReplayPolicy(window=window),
            upload_reuse=timedelta(hours=6),
            max_attempts=3,
            result_addresses=AddressPolicy.for_results(base_url),
        ),
        clock=clock,
        jitter=random.Random(1).random,
        new_id=uuid7,
        pause=clock.pause,
    )
    return Node(services=services, clock=clock, folder=folder)


def _account(database: HookedDatabase, clock: Clock, name: str) -> UUID:
    with database.engine.begin() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name=name, now=clock())
        accounts.configure(tx, account_id, rate=None, max_in_flight=100, now=clock())
        return account_id


__all__ = ["EVERY", "START", "Clock", "Fuse", "Node", "make"]
