"""One of several hands on the same account: it picks what to do next by chance, and keeps old tickets."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from tests.property.provider import Crash
from tests.property.rig import Rig, leave
from worker.accounts import control
from worker.audit import resolve
from worker.audit.queries import in_doubt
from worker.audit.rules.dispute_decision import NotInDoubt, Signature, UnfitTask
from worker.batches import control as batch_control
from worker.batches import deadlines
from worker.batches.control import CapTooLow
from worker.core.db.changes import Author
from worker.core.rules.batch_request import DeadlinePassed
from worker.core.rules.errors import ProviderError
from worker.core.rules.states import ActionRefused, StepKind
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket
from worker.engine.steps import poll, submit

ANN = Signature(actor="ann", reason="seen")
RARE = 0.2
"""How often something else than work is done."""


class Session:
    """Does one operation after the other in its own thread."""

    def __init__(self, rig: Rig, batches: list[UUID], seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig, self.batches, self.services = rig, batches, rig.services
        self.database, self.clock = rig.services.database, rig.clock
        self.kept: list[Ticket] = []
        self.rare: tuple[Callable[[], object], ...] = (
            self.wait,
            self.cancel,
            self.hold_back,
            self.let_go_on,
            self.set_deadline,
            self.pass_deadlines,
            self.retry,
            self.cap,
            self.pause,
            self.resume,
            self.resume,
            self.decide,
            self.decide,
        )

    def run(self, operations: int) -> None:
        """Do so many; what another session has just made impossible is passed over."""
        for _ in range(operations):
            is_rare = self.chance.random() < RARE
            with suppress(ActionRefused, CapTooLow, Crash, DeadlinePassed, NotInDoubt, ProviderError, UnfitTask):
                (self.chance.choice(self.rare) if is_rare else self.work)()

    def work(self) -> None:
        tickets = [t for t in dispatch.run(self.services).tickets if t.kind is not StepKind.COLLECT]
        self.clock.advance(timedelta(seconds=2))
        self.kept += tickets
        for ticket in (*tickets[:3], *self.chance.sample(self.kept, min(len(self.kept), 1))):
            if ticket.kind is StepKind.SUBMIT:
                submit.run(self.services, ticket)
            else:
                poll.run(self.services, ticket, leave)

    def wait(self) -> None:
        self.clock.advance(timedelta(seconds=self.chance.choice([30, 30, 700, 7200])))

    def cancel(self) -> None:
        batch_control.cancel(self.database, self.batches[-1], now=self.clock())

    def hold_back(self) -> None:
        batch_control.pause(self.database, self.chance.choice(self.batches), self._author())

    def let_go_on(self) -> None:
        batch_control.resume(self.database, self.chance.choice(self.batches), self._author())

    def set_deadline(self) -> None:
        due_at = self.chance.choice([None, None, self.clock() + timedelta(minutes=5)])
        deadlines.change(self.database, self.chance.choice(self.batches[1:]), due_at, self._author())

    def pass_deadlines(self) -> None:
        deadlines.end_passed(self.database, self.services.account_id, now=self.clock())

    def retry(self) -> None:
        batch_control.retry_failed(self.database, self.chance.choice(self.batches), self._author(), approve_above=None)

    def cap(self) -> None:
        author = self._author()
        if self.chance.random() < 0.5:
            batch_control.cap_owner(
                self.database, f"mia-{self.rig.name}", self.chance.choice([None, 20, 60]), author, approve_above=None
            )
        else:
            batch_control.cap_batch(
                self.database,
                self.chance.choice(self.batches),
                self.chance.choice([None, 16, 80]),
                author,
                approve_above=None,
            )

    def pause(self) -> None:
        control.pause(self.database, self.rig.name, self._author())

    def resume(self) -> None:
        control.resume(self.database, self.rig.name, self._author())

    def decide(self) -> None:
        with self.database.transaction() as tx:
            doubts = in_doubt.all_of_them(tx)
        if not doubts:
            return
        doubt, new_id = self.chance.choice(doubts), self.services.new_id
        task = self.rig.world.by_key.get(doubt.idempotency_key)
        if task is not None and self.chance.random() < 0.5:
            resolve.adopt(self.services, doubt.generation_id, task.id, ANN)
        elif task is not None:
            resolve.charged(
                self.database,
                doubt.generation_id,
                4,
                ANN,
                new_id=new_id,
                approve_above=None,
                now=self.clock(),
                may_exceed=True,
            )
        else:
            resolve.not_charged(
                self.database, doubt.generation_id, ANN, new_id=new_id, approve_above=None, now=self.clock()
            )

    def _author(self) -> Author:
        return Author(actor="ann", reason=None, now=self.clock(), new_id=self.services.new_id)
