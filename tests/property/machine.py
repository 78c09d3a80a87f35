"""Everything that can happen to jobs and credits, in any order, beside an oracle that must agree after each step."""

from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.pipeline.node import Clock
from tests.property import rig as rigs
from tests.property.oracle import Folder, Oracle, Slip
from tests.property.provider import CREATES, GETS, Crash, Fate
from worker.accounts import control
from worker.audit import resolve
from worker.audit.rules.dispute_decision import Signature, UnfitTask
from worker.batches import control as batch_control
from worker.batches import deadlines
from worker.batches.control import CapTooLow
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.states import ActionRefused, StepKind
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket
from worker.engine.steps import poll
from worker.engine.steps import submit as steps_submit

ANN = Signature(actor="ann", reason="seen")
SPANS = [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=11), timedelta(hours=2), timedelta(hours=25)]
POLL_GAP = timedelta(seconds=5)
OWNERS = st.sampled_from(["mia", "tom"])
# Of a create, of one that is sent again, and of a get.
FATE = st.tuples(
    st.sampled_from([Fate.OK] * (len(CREATES) // 2) + list(CREATES)),
    st.sampled_from(CREATES),
    st.sampled_from([Fate.SUCCEED] * (len(GETS) // 2) + list(GETS)),
)
FATES = st.lists(FATE, min_size=1, max_size=3)
STALL = timedelta(hours=2)


class Money(RuleBasedStateMachine):
    """Enqueue, admit, submit, lose, replay, fail, succeed, cancel and correct."""

    database: Database
    steps = 0
    """Steps after which the two were compared."""
    tickets = Bundle("tickets")
    batches = Bundle("batches")

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.rig = rigs.make(self.database, self.clock, has_brakes=False)
        self.world, self.services = self.rig.world, self.rig.services
        self.oracle = Oracle()
        self.live: dict[UUID, Ticket] = {}
        self.enqueue_jobs("mia", 3, None)

    @rule(
        target=batches,
        owner=OWNERS,
        count=st.integers(1, 5),
        cap=st.sampled_from([None, None, 3, 8, 13]),
    )
    def enqueue(self, owner: str, count: int, cap: int | None) -> UUID:
        return self.enqueue_jobs(owner, count, cap)

    def enqueue_jobs(self, owner: str, count: int, cap: int | None) -> UUID:
        batch, jobs = self.rig.enqueue(self.owner(owner), count, cap)
        self.oracle.folders[batch] = Folder(owner=self.owner(owner), cap=cap)
        self.oracle.slips.update({job: Slip(batch=batch) for job in jobs})
        return batch

    @rule(fates=FATES)
    def work(self, fates: list[tuple[Fate, Fate, Fate]]) -> None:
        """Do a round and the first of its tickets at once; the others are lost. There is always something to do."""
        if self.oracle.is_idle():
            self.enqueue_jobs("tom", 3, None)
        for ticket, fates_of_it in zip(self.hand_out(), fates, strict=False):
            self.run(ticket, *fates_of_it)
        self.clock.advance(POLL_GAP)

    @rule(fates=FATES)
    def work_on(self, fates: list[tuple[Fate, Fate, Fate]]) -> None:
        """Do the same, for work is most of what happens."""
        self.work(fates)

    @rule(target=tickets)
    def round(self) -> Ticket | None:
        """Do a round whose first ticket comes later, perhaps too late; the others are lost."""
        tickets = self.hand_out()
        return tickets[0] if tickets else None

    @rule(ticket=tickets, fate=FATE)
    def deliver(self, ticket: Ticket | None, fate: tuple[Fate, Fate, Fate]) -> None:
        """Deliver a ticket that was kept, once more perhaps."""
        if ticket is not None:
            self.run(ticket, *fate)

    @rule(span=st.sampled_from(SPANS))
    def wait(self, span: timedelta) -> None:
        self.clock.advance(span)

    @rule(
        batch=batches,
        owner=OWNERS,
        what=st.sampled_from(["cancel", "cap_batch", "cap_owner", "pause", "hold_back", "pass_deadline"]),
        data=st.data(),
    )
    def interfere(self, batch: UUID, owner: str, what: str, data: st.DataObject) -> None:
        """Do what people do seldom."""
        match what:
            case "cancel":
                self.cancel(batch)
            case "pause":
                self.pause()
            case "hold_back":
                self.hold_back(batch)
            case "pass_deadline":
                self.pass_deadline(batch)
            case "cap_batch":
                self.cap_batch(batch, data.draw(st.sampled_from([None, 4, 9, 16, 40])))
            case _:
                self.cap_owner(owner, data.draw(st.sampled_from([None, 8, 17, 60])))

    def cancel(self, batch: UUID) -> None:
        batch_control.cancel(self.database, batch, now=self.clock())
        self.oracle.cancelled(batch)

    def hold_back(self, batch: UUID) -> None:
        folder = self.oracle.folders[batch]
        try:
            batch_control.pause(self.database, batch, self.author())
        except ActionRefused:
            assert folder.is_held_back or not folder.is_open
            return
        assert not folder.is_held_back
        folder.is_held_back = True

    @precondition(lambda self: any(folder.is_held_back for folder in self.oracle.folders.values()))
    @rule()
    def let_go_on(self) -> None:
        """Resume every batch that is held back."""
        for batch, folder in self.oracle.folders.items():
            if folder.is_held_back:
                batch_control.resume(self.database, batch, self.author())
                folder.is_held_back = False

    def pass_deadline(self, batch: UUID) -> None:
        """Let a deadline be over for so long that no lease counts, end what is past it, and lift it again."""
        long_ago = self.clock() - timedelta(hours=1)
        deadlines.change(self.database, batch, long_ago, self.author())
        deadlines.end_passed(self.database, self.services.account_id, now=self.clock())
        deadlines.change(self.database, batch, None, self.author())
        self.oracle.passed(batch)
        self.live = {job: ticket for job, ticket in self.live.items() if self.oracle.slips[job].state == "active"}

    @rule(batch=batches)
    def retry(self, batch: UUID) -> None:
        batch_control.retry_failed(self.database, batch, self.author(), approve_above=None)
        self.oracle.retried(batch)

    def cap_batch(self, batch: UUID, cap: int | None) -> None:
        is_too_low = cap is not None and cap < self.oracle.committed(batch)
        try:
            batch_control.cap_batch(self.database, batch, cap, self.author(), approve_above=None)
        except CapTooLow:
            assert is_too_low
            return
        assert not is_too_low
        self.oracle.folders[batch].cap = cap

    def cap_owner(self, owner: str, cap: int | None) -> None:
        change = batch_control.cap_owner(self.database, self.owner(owner), cap, self.author(), approve_above=None)
        assert change.committed == self.oracle.in_month(self.owner(owner), self.clock())
        self.oracle.monthly.pop(self.owner(owner), None)
        if cap is not None:
            self.oracle.monthly[self.owner(owner)] = cap

    def pause(self) -> None:
        control.pause(self.database, self.rig.name, self.author())
        self.oracle.paused = "operator"

    @precondition(lambda self: self.oracle.paused)
    @rule()
    def resume(self) -> None:
        control.resume(self.database, self.rig.name, self.author())
        self.oracle.paused = None

    @precondition(lambda self: self.oracle.doubtful())
    @rule(charged=st.sampled_from([0, 1, 4, 6]), data=st.data())
    def correct(self, charged: int, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.oracle.doubtful()))
        generation, now, new_id = self.generation(job), self.clock(), self.services.new_id
        if charged:
            resolve.charged(
                self.database, generation, charged, ANN, new_id=new_id, approve_above=None, now=now, may_exceed=True
            )
        else:
            resolve.not_charged(self.database, generation, ANN, new_id=new_id, approve_above=None, now=now)
        self.oracle.corrected(job, charged)

    @precondition(lambda self: self.oracle.doubtful())
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.oracle.doubtful()))
        task = self.world.by_key.get(self.oracle.slips[job].paper.key)
        self.world.fate = Fate.OK
        try:
            resolve.adopt(self.services, self.generation(job), task.id if task else "task_none", ANN)
        except UnfitTask:
            assert task is None
            return
        assert task is not None
        self.oracle.adopted(job, task, self.clock())

    @invariant()
    def ledger_and_jobs_are_those_of_the_oracle(self) -> None:
        if hasattr(self, "oracle"):
            balances, states = self.rig.look(list(self.oracle.folders))
            assert balances == self.oracle.balances()
            assert states == self.oracle.states()
            type(self).steps += 1

    def hand_out(self) -> list[Ticket]:
        """Do one round of dispatch; what is to be collected is left alone, for it moves no credits.

        The tickets come in the order of the jobs, so that the same choices lead to the same run.
        """
        now = self.clock()
        handed_out = [ticket for ticket in dispatch.run(self.services).tickets if ticket.kind is not StepKind.COLLECT]
        place = {job: number for number, job in enumerate(self.oracle.slips)}
        tickets = sorted(handed_out, key=lambda ticket: place[ticket.job_id])
        new = [ticket.job_id for ticket in tickets if self.oracle.slips[ticket.job_id].state == "pending"]
        keys = self.rig.keys(new) if new else {}
        for job in new:
            self.oracle.admitted(job, keys[job], now)
        self.oracle.nothing_is_left_out(now)
        self.live.update({ticket.job_id: ticket for ticket in tickets})
        self.clock.advance(timedelta(milliseconds=500))
        return tickets

    def run(self, ticket: Ticket, create: Fate, again: Fate, get: Fate) -> None:
        """Do the step of a ticket, and let the oracle do the same; a stale ticket does nothing."""
        is_live = self.live.get(ticket.job_id) == ticket and self.oracle.slips[ticket.job_id].state == "active"
        if is_live:
            del self.live[ticket.job_id]
        if ticket.kind is StepKind.SUBMIT:
            is_replay = is_live and self.oracle.slips[ticket.job_id].paper.unknown > 0
            self.submit(ticket, again if is_replay else create, is_live=is_live)
        else:
            self.poll(ticket, get, is_live=is_live)

    def submit(self, ticket: Ticket, fate: Fate, *, is_live: bool) -> None:
        job, began = ticket.job_id, self.clock()
        is_sent = is_live and self.oracle.expects_create(job, began)
        asked, self.world.fate = self.world.asked, fate
        overtaken: list[bool] = []
        self.world.stall = lambda: overtaken.append(self.overtake(job))
        try:
            steps_submit.run(self.services, ticket)
        except Crash:
            assert fate in {Fate.CRASH_AFTER, Fate.CRASH_BEFORE}
        assert (self.world.asked > asked) == is_sent, "a request goes out exactly when it may"
        if is_sent and not any(overtaken):
            task = self.world.by_key.get(self.oracle.slips[job].paper.key)
            self.oracle.created(job, fate, task, self.clock())

    def overtake(self, job: UUID) -> bool:
        """While an answer is under way, let its lease and its window end, and another worker take the step."""
        self.oracle.created(job, Fate.LOST_AFTER, None, self.clock())
        self.clock.advance(STALL)
        taken = [ticket for ticket in self.hand_out() if ticket.job_id == job]
        for ticket in taken:
            self.run(ticket, Fate.OK, Fate.OK, Fate.OK)
        if not taken:
            self.oracle.slips[job].paper.unknown -= 1
        return bool(taken)

    def poll(self, ticket: Ticket, fate: Fate, *, is_live: bool) -> None:
        job, now = ticket.job_id, self.clock()
        is_asked = is_live and not (self.oracle.blocked is not None and now < self.oracle.blocked)
        asked, self.world.fate = self.world.asked, fate
        try:
            poll.run(self.services, ticket, rigs.leave)
        except Crash:
            assert fate is Fate.CRASH_AFTER
        assert (self.world.asked > asked) == is_asked
        if is_asked:
            task = self.world.tasks[self.oracle.slips[job].paper.task or ""]
            self.oracle.polled(job, fate, task, now)

    def generation(self, job: UUID) -> UUID:
        return UUID(self.oracle.slips[job].paper.key.removeprefix("darkroom-"))

    def owner(self, name: str) -> str:
        return f"{name}-{self.rig.name}"

    def author(self) -> Author:
        return Author(actor="ann", reason=None, now=self.clock(), new_id=self.services.new_id)
