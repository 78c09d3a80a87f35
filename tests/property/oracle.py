"""What the books must say, worked out in memory with arithmetic of its own, from what was done and what was answered.

Nothing here is taken from the ledger, the job's table of transitions or the steps: where this and Darkroom differ, one
of the two is wrong.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from tests.property.provider import PRICE, THROTTLED_FOR, Fate, Task

WINDOW = timedelta(hours=1)
LONGEST_CREATE = timedelta(seconds=45)
CONFLICT_FOR = timedelta(minutes=10)
YOUNG = timedelta(minutes=1)
DAY = timedelta(days=1)
ATTEMPTS = 3


@dataclass(kw_only=True)
class Paper:
    """One paid attempt on paper."""

    key: str
    month: date
    lies: str = "held"
    """Where its credits lie: held, reserved, spent or nowhere."""
    amount: int = PRICE
    is_doubtful: bool = False
    unknown: int = 0
    """Sends of which it is unknown whether they arrived."""
    first_sent: datetime | None = None
    accepted: datetime | None = None
    is_adopted: bool = False
    task: str | None = None


@dataclass(kw_only=True)
class Slip:
    """One job on paper."""

    batch: UUID
    state: str = "pending"
    failures: int = 0
    papers: list[Paper] = field(default_factory=list)

    @property
    def paper(self) -> Paper:
        return self.papers[-1]


@dataclass(kw_only=True)
class Folder:
    """One batch on paper."""

    owner: str
    cap: int | None
    is_open: bool = True
    is_held_back: bool = False


class Oracle:
    """All batches, jobs and attempts of one account on paper."""

    def __init__(self) -> None:
        self.folders: dict[UUID, Folder] = {}
        self.slips: dict[UUID, Slip] = {}
        self.monthly: dict[str, int] = {}
        self.paused: str | None = None
        self.blocked: datetime | None = None
        self.last_figure = 0
        """What was last reserved when that was not what was held."""

    # What is there.

    def balances(self) -> dict[tuple[UUID, str], int]:
        """Return the sum that must lie in each account of each batch, where it is not zero."""
        sums: Counter[tuple[UUID, str]] = Counter()
        for slip in self.slips.values():
            for paper in slip.papers:
                if paper.lies != "nowhere":
                    sums[slip.batch, paper.lies] += paper.amount
                    sums[slip.batch, "cap"] -= paper.amount
        return {place: amount for place, amount in sums.items() if amount}

    def states(self) -> dict[UUID, str]:
        """Return the state that each job must have."""
        return {job: slip.state for job, slip in self.slips.items()}

    def doubtful(self) -> list[UUID]:
        """Return the jobs in doubt."""
        return [job for job, slip in self.slips.items() if slip.state == "in_doubt"]

    def is_idle(self) -> bool:
        """Return whether nothing waits and no request is open."""
        return not any(
            s.state == "pending" or (s.state == "active" and s.paper.lies in {"held", "reserved"})
            for s in self.slips.values()
        )

    def left(self, batch: UUID, now: datetime) -> int | None:
        """Return what the batch may still commit; None without any limit."""
        folder = self.folders[batch]
        limits = []
        if folder.cap is not None:
            limits.append(folder.cap - sum(p.amount for s, p in self._papers() if s.batch == batch))
        if folder.owner in self.monthly:
            limits.append(self.monthly[folder.owner] - self.in_month(folder.owner, now))
        return min(limits) if limits else None

    def in_month(self, owner: str, now: datetime) -> int:
        """Return what the owner has committed in the month."""
        month = now.date().replace(day=1)
        mine = ((s, p) for s, p in self._papers() if self.folders[s.batch].owner == owner)
        return sum(p.amount for _, p in mine if p.month == month)

    def committed(self, batch: UUID) -> int:
        """Return what the batch has committed."""
        return sum(p.amount for s, p in self._papers() if s.batch == batch)

    def price(self) -> int:
        """Return what the next attempt holds."""
        return max(PRICE, self.last_figure)

    def pending(self, batch: UUID) -> int:
        """Return how many of its jobs wait."""
        return sum(s.batch == batch and s.state == "pending" for s in self.slips.values())

    def _papers(self) -> Iterator[tuple[Slip, Paper]]:
        for slip in self.slips.values():
            for paper in slip.papers:
                if paper.lies != "nowhere":
                    yield slip, paper

    # What happens.

    def admitted(self, job: UUID, key: str, now: datetime) -> None:
        """A pending job got its hold: it must have been one that could be paid."""
        slip = self.slips[job]
        left = self.left(slip.batch, now)
        assert slip.state == "pending", "only a pending job is admitted"
        assert self.paused is None, "nothing is admitted while the account is paused"
        assert left is None or left >= self.price(), "nothing is admitted beyond a cap"
        assert not self.folders[slip.batch].is_held_back, "nothing is admitted in a paused batch"
        slip.state = "active"
        slip.papers.append(Paper(key=key, month=now.date().replace(day=1), amount=self.price()))

    def nothing_is_left_out(self, now: datetime) -> None:
        """After a round: what still waits cannot be paid for."""
        if self.paused is not None or (self.blocked is not None and now < self.blocked):
            return
        for batch, folder in self.folders.items():
            left = self.left(batch, now)
            can_be_paid = left is None or left >= self.price()
            can_go_on = folder.is_open and not folder.is_held_back and self.pending(batch) and can_be_paid
            assert not can_go_on, "whatever a cap has left is used"

    def expects_create(self, job: UUID, now: datetime) -> bool:
        """Return whether a live ticket to submit leads to a request; if not, do what happens instead."""
        slip, paper = self.slips[job], self.slips[job].paper
        if self.blocked is not None and now < self.blocked:
            return False
        if self.paused is not None:
            if not paper.unknown:
                self._give_back(slip)
            return False
        if paper.unknown and paper.first_sent is not None and now + LONGEST_CREATE >= paper.first_sent + WINDOW:
            self._doubt(slip)
            return False
        return True

    def created(self, job: UUID, fate: Fate, task: Task | None, now: datetime) -> None:
        """A create was sent and this became of it."""
        slip, paper = self.slips[job], self.slips[job].paper
        paper.first_sent = paper.first_sent or now
        match fate:
            case Fate.OK | Fate.CHEAPER | Fate.DEARER | Fate.STALL:
                assert task is not None
                self._accept(paper, task, now)
            case Fate.LOST_AFTER | Fate.LOST_BEFORE | Fate.CRASH_AFTER | Fate.CRASH_BEFORE:
                paper.unknown += 1
            case Fate.REFUSED if paper.unknown:
                self._doubt(slip)
            case Fate.REFUSED:
                paper.lies, slip.state = "nowhere", "failed"
            case Fate.BROKE:
                self.paused = self.paused or "insufficient_credits"
                if not paper.unknown:
                    self._give_back(slip)
            case Fate.CONFLICT if not paper.unknown or now >= paper.first_sent + CONFLICT_FOR:
                self._doubt(slip)
            case Fate.CONFLICT:
                paper.unknown += 1
            case Fate.THROTTLED:
                self.blocked = max(self.blocked or now, now + THROTTLED_FOR)

    def polled(self, job: UUID, fate: Fate, task: Task, now: datetime) -> None:
        """A get was sent and this became of it."""
        slip, paper = self.slips[job], self.slips[job].paper
        assert paper.accepted is not None
        age = now - paper.accepted
        match fate:
            case Fate.CRASH_AFTER:
                return
            case Fate.BROKE:
                self.paused = self.paused or "insufficient_credits"
            case Fate.THROTTLED:
                self.blocked = max(self.blocked or now, now + THROTTLED_FOR)
            case Fate.MISSING:
                if age >= YOUNG:
                    self._doubt(slip)
            case Fate.UNAVAILABLE:
                if age >= DAY:
                    self._doubt(slip)
            case _ if not task.status.is_terminal:
                if age >= DAY:
                    self._doubt(slip)
            case _:
                self._settle(slip, paper, task)

    def _settle(self, slip: Slip, paper: Paper, task: Task) -> None:
        paper.lies, paper.amount = ("spent", task.final) if task.final else ("nowhere", 0)
        if task.status == "succeeded":
            return
        is_broke = task.code == "insufficient_credits"
        if is_broke:
            self.paused = self.paused or "insufficient_credits"
        if task.final == 0 and (is_broke or slip.failures + 1 < ATTEMPTS):
            slip.failures += not is_broke
            self._give_back(slip)
        else:
            slip.state = "failed"

    def cancelled(self, batch: UUID) -> None:
        """Its owner withdrew the batch: what surely created nothing costs nothing."""
        self.folders[batch].is_open = self.folders[batch].is_held_back = False
        for slip in self.slips.values():
            if slip.batch != batch:
                continue
            if slip.state == "pending":
                slip.state = "cancelled"
            elif slip.state == "active" and slip.paper.lies == "held" and slip.paper.unknown == 0:
                slip.state, slip.paper.lies = "cancelled", "nowhere"

    def passed(self, batch: UUID) -> None:
        """Its deadline is over: what created nothing fails and is free, what may have been paid is in doubt."""
        for slip in self.slips.values():
            if slip.batch != batch or slip.state not in {"pending", "active"}:
                continue
            if slip.state == "pending":
                slip.state = "failed"
            elif slip.paper.lies == "held" and slip.paper.unknown == 0:
                slip.state, slip.paper.lies = "failed", "nowhere"
            elif slip.paper.lies != "spent" and not slip.paper.is_adopted:
                self._doubt(slip)

    def retried(self, batch: UUID) -> None:
        """Its owner asked once more for what failed."""
        failed = [slip for slip in self.slips.values() if slip.batch == batch and slip.state == "failed"]
        for slip in failed:
            slip.state, slip.failures = "pending", 0
        self.folders[batch].is_open |= bool(failed)

    def corrected(self, job: UUID, charged: int) -> None:
        """A person found out what was charged."""
        slip = self.slips[job]
        slip.state, slip.paper.is_doubtful = "failed", False
        slip.paper.lies, slip.paper.amount = ("spent", charged) if charged else ("nowhere", 0)

    def adopted(self, job: UUID, task: Task, now: datetime) -> None:
        """A person found out which task it is."""
        slip = self.slips[job]
        slip.state, slip.paper.is_doubtful = "active", False
        if slip.paper.lies == "held":
            self._accept(slip.paper, task, now)
        slip.paper.accepted, slip.paper.is_adopted = now, True

    def _accept(self, paper: Paper, task: Task, now: datetime) -> None:
        if task.reserved != paper.amount:
            self.last_figure = task.reserved
        paper.lies, paper.amount, paper.accepted, paper.task = "reserved", task.reserved, now, task.id

    def _give_back(self, slip: Slip) -> None:
        if slip.paper.lies != "spent":
            slip.paper.lies = "nowhere"
        slip.state = "pending" if self.folders[slip.batch].is_open else "cancelled"

    def _doubt(self, slip: Slip) -> None:
        slip.state, slip.paper.is_doubtful = "in_doubt", True
