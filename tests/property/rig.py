"""One account on the real database, whose provider is the oracle's world, and whose clock is moved by hand."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.pipeline.node import Clock
from tests.property.provider import World
from worker.accounts.queries import accounts
from worker.core.db.session import Database
from worker.core.rules.batch_request import BatchRequest, validate_batch
from worker.core.rules.retry import ReplayPolicy
from worker.engine.queries.steps import Work
from worker.engine.rules.polling import PollSchedule
from worker.engine.services import Latencies, Policies, Services
from worker.enqueue import prepare_requests
from worker.intake.write import write
from worker.provider.client import Client
from worker.storage.fetch.addresses import AddressPolicy
from worker.storage.store import open_store

BALANCES = text("""
    SELECT batch_id, account, sum(credits)::bigint FROM (
        SELECT batch_id, target AS account, credits FROM credit_entry WHERE batch_id = ANY(:ids)
        UNION ALL SELECT batch_id, source, -credits FROM credit_entry WHERE batch_id = ANY(:ids)) e
    GROUP BY 1, 2 HAVING sum(credits) <> 0""")
STATES = text("SELECT id, state FROM job WHERE batch_id = ANY(:ids)")
KEYS = text("SELECT job_id, idempotency_key FROM generation WHERE job_id = ANY(:ids) ORDER BY job_id, number")


@dataclass(kw_only=True)
class Rig:
    """Everything that one run works with."""

    services: Services
    world: World
    clock: Clock
    name: str

    def enqueue(self, owner: str, count: int, cap: int | None) -> tuple[UUID, list[UUID]]:
        """Write a batch; gives its id and its jobs in line order."""
        wanted = validate_batch({"owner": owner, "credit_cap": cap})
        assert isinstance(wanted, BatchRequest)
        prepared = prepare_requests([{"prompt": str(n)} for n in range(count)], store=self.services.store)
        services = self.services
        with services.database.transaction() as tx:
            receipt = write(
                tx,
                wanted,
                prepared,
                account_id=services.account_id,
                now=self.clock(),
                new_id=services.new_id,
                approve_above=None,
            )
            jobs = tx.execute(text("SELECT id FROM job WHERE batch_id = :id ORDER BY line"), {"id": receipt.batch_id})
            return receipt.batch_id, list(jobs.scalars())

    def keys(self, jobs: list[UUID]) -> dict[UUID, str]:
        """Return the key of each job's newest generation."""
        with self.services.database.transaction() as tx:
            return {job: key for job, key in tx.execute(KEYS, {"ids": jobs})}  # noqa: C416 - rows are no pairs to mypy

    def look(self, batches: list[UUID]) -> tuple[dict[tuple[UUID, str], int], dict[UUID, str]]:
        """Return what the ledger says, where it is not zero, and the state of each job."""
        with self.services.database.transaction() as tx:
            balances = {(batch, name): amount for batch, name, amount in tx.execute(BALANCES, {"ids": batches})}
            states = {job: state for job, state in tx.execute(STATES, {"ids": batches})}  # noqa: C416 - as above
        return balances, states


def leave(services: Services, work: Work) -> None:
    """Leave a paid image where it is: what is tested here ends with the credits."""


def make(database: Database, clock: Clock, *, has_brakes: bool = True) -> Rig:
    """Give a rig with an account of its own, which pauses by itself unless it has no brakes."""
    world, name = World(), f"account-{uuid7()}"
    with database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name=name, now=clock())
        accounts.configure(tx, account_id, rate=1000.0, max_in_flight=10_000, now=clock())
    schedule = PollSchedule(first=timedelta(seconds=2.5), gap=timedelta(seconds=5))
    services = Services(
        account_id=account_id,
        database=database,
        client=cast("Client", world),
        store=open_store("memory://"),
        latencies=Latencies(account_id, schedule),
        policies=Policies(
            schedule=schedule,
            replay=ReplayPolicy(window=timedelta(hours=1)),
            upload_reuse=timedelta(hours=6),
            max_attempts=3,
            has_brakes=has_brakes,
            result_addresses=AddressPolicy.for_results("http://127.0.0.1:9"),
        ),
        clock=clock,
        jitter=random.Random(1).random,
        new_id=uuid7,
        pause=clock.pause,
    )
    return Rig(services=services, world=world, clock=clock, name=name)
