"""Admit pending jobs in fair shares, under their caps, each with a hold, a generation and a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts, provider_health
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.rules import pace
from worker.core.rules import retry
from worker.core.rules.batch_request import Priority
from worker.core.rules.errors import PauseReason
from worker.core.rules.states import QUEUED_LEASE, StepKind
from worker.engine.queries import batches, generations, jobs, maintenance, step_moves, steps
from worker.engine.queries.batches import Locked, Waiting
from worker.engine.queries.jobs import Admitted
from worker.engine.queries.maintenance import MaintenanceName
from worker.engine.queries.steps import FirstStep, Ticket
from worker.engine.rules import fairness
from worker.engine.rules.fairness import Candidate
from worker.engine.services import Services
from worker.engine.steps.upload import WAIT_FOR_UPLOADER
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as moves

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Admission:
    """How the slots of a round were shared out: first steps, and room for due ones."""

    tickets: Sequence[Ticket]
    """Of the jobs that were admitted, leased."""
    due: Mapping[Priority, int]
    """How many due steps of each class have a slot."""
    is_contended: bool = False
    """Whether another account's round had a batch of a pool, so that jobs may wait that this round could not see."""


def admit(
    tx: Connection,
    services: Services,
    account: AccountRow,
    slots: int,
    now: datetime,
    *,
    due: Mapping[Priority, int] | None = None,
) -> Admission:
    """Share the slots out between due steps and pending jobs, and admit those jobs within the account's window.

    Locks the batches, then their owners' months. A batch is served as far as its cap, its owner's month and the
    wallet permit. A paused account admits none, but for a single job that tries whether the provider works again.
    """
    due = due or {}
    if account.pause_reason is not None:
        slots = min(slots, sum(due.values()) + 1)
    rooms = fairness.rooms(_window(services, account, now), step_moves.in_flight(tx, account.id))
    locked = _lock_waiting(tx, account, rooms, slots, due, now)
    waiting = locked.waiting
    if not waiting and not due:
        return Admission(tickets=(), due={}, is_contended=locked.is_contended)
    budget = BudgetTracker(
        owners=budgets.lock_left(tx, (w.candidate.owner for w in waiting), now=now),
        wallet=_wallet(services, account, now),
    )
    candidates = [_affordable(w, budget) for w in waiting]
    share = fairness.allocate(candidates, account.virtual_times, slots, due=due, rooms=rooms)
    tickets: list[Ticket] = []
    by_id = {w.candidate.batch_id: w for w in waiting}
    for batch_id, count in share.jobs.items():
        tickets += _admit_from(tx, services, account, by_id[batch_id], count, budget, now)
        batches.save_turn(tx, batch_id, virtual_time=share.batch_times[batch_id])
    if share.jobs or share.due:
        accounts.save_virtual_times(tx, account.id, share.virtual_times)
    if share.jobs:
        budgets.take_from_wallet(tx, account.id, budget.taken)
    _read_wallet_soon(tx, account, waiting, budget, now)
    return Admission(tickets=tickets, due=share.due, is_contended=locked.is_contended)


def _lock_waiting(
    tx: Connection,
    account: AccountRow,
    rooms: Mapping[Priority, int],
    slots: int,
    due: Mapping[Priority, int],
    now: datetime,
) -> Locked:
    """Lock the batches that may be served: of the classes that the window has room for, and that are not busy.

    A class whose due steps would take all the slots admits nothing, so its batches are left alone.
    """
    classes = [p for p in Priority if fairness.room_of(p, rooms) > 0 and due.get(p, 0) < slots]
    if not classes or (account.pause_reason is not None and not _may_try(tx, account, now)):
        return Locked(waiting=())
    return batches.lock_waiting(
        tx,
        account.id,
        classes,
        room=slots,
        now=now,
        paused_models=_paused(account),
        has_pooled=account.has_pooled,
    )


PROVED_FOR = timedelta(minutes=10)
"""So long after a success the provider counts as one that works."""


def _window(services: Services, account: AccountRow, now: datetime) -> int:
    """Return how many generations may be open: few, until one has succeeded, and while they fail in a row."""
    narrow = services.policies.unproved_window
    is_proved = account.proved_at is not None and now < account.proved_at + PROVED_FOR
    if narrow is None or (is_proved and not account.are_failures_suspect):
        return account.max_in_flight
    return min(narrow, account.max_in_flight)


def _may_try(tx: Connection, account: AccountRow, now: datetime) -> bool:
    """Return whether one job may probe whether the provider works; replayed requests probe it for free."""
    if not account.is_canary_due(now):
        return False
    return account.pause_reason is not PauseReason.OUTCOMES_UNKNOWN or not step_moves.has_unanswered(tx, account.id)


def _begin_canary(tx: Connection, services: Services, account: AccountRow, job_id: UUID, now: datetime) -> None:
    is_paid = account.pause_reason is PauseReason.OUTCOMES_UNKNOWN
    wait = (retry.PAID_CANARY if is_paid else retry.CANARY).wait(account.probes + 1, services.jitter())
    provider_health.begin_canary(tx, account.id, job_id, now=now)
    accounts.begin_probe(tx, account.id, next_at=now + wait)


def _paused(account: AccountRow) -> list[str]:
    return [each.model for each in account.paused_models]


class BudgetTracker:
    """Counts down as jobs are admitted, so that batches of one owner cannot use the same credits twice."""

    def __init__(self, *, owners: dict[str, int], wallet: int | None) -> None:
        """Begin with what each capped owner and the wallet have left; ``wallet`` None: it sets no bound."""
        self._owners = dict(owners)
        self.wallet = wallet
        self.taken = 0

    def left(self, owner: str, *, cap_left: int | None) -> int | None:
        """Return the smallest of the three limits, at least 0; None when none is set."""
        limits = [limit for limit in (cap_left, self._owners.get(owner), self.wallet) if limit is not None]
        return max(0, min(limits)) if limits else None

    def take(self, owner: str, credits_: int) -> None:
        """Count credits that were committed."""
        self.taken += credits_
        if owner in self._owners:
            self._owners[owner] -= credits_
        if self.wallet is not None:
            self.wallet -= credits_


def _affordable(waiting: Waiting, budget: BudgetTracker) -> Candidate:
    """Limit the batch's room to the jobs that the wallet can pay, so that unused slots go to other batches."""
    left = budget.left(waiting.candidate.owner, cap_left=waiting.cap_left)
    room = waiting.candidate.room
    return replace(waiting.candidate, room=room if left is None else min(room, left // waiting.price))


def _wallet(services: Services, account: AccountRow, now: datetime) -> int | None:
    """Return how much of the wallet may be committed; None: there is no bound."""
    floor = services.policies.wallet_floor
    return pace.spendable_credits(left=account.wallet_left, read_at=account.wallet_read_at, floor=floor, now=now)


def _read_wallet_soon(
    tx: Connection, account: AccountRow, waiting: Sequence[Waiting], budget: BudgetTracker, now: datetime
) -> None:
    """Have the wallet read again soon when a job waits for nothing but its credits: a top-up is seen then."""
    if budget.wallet is not None and any(budget.wallet < each.price for each in waiting):
        maintenance.schedule_now(tx, account.id, MaintenanceName.WALLET, due_at=now + pace.WALLET_READ_AGAIN_AFTER)


def _admit_from(
    tx: Connection,
    services: Services,
    account: AccountRow,
    waiting: Waiting,
    count: int,
    budget: BudgetTracker,
    now: datetime,
) -> list[Ticket]:
    """Post a hold and make a generation and a step for the next ``count`` jobs of one batch."""
    admitted = jobs.admit(
        tx,
        account_id=services.account_id,
        batch_id=waiting.candidate.batch_id,
        limit=count,
        cap_left=budget.left(waiting.candidate.owner, cap_left=waiting.cap_left),
        fresh_after=now - services.policies.upload_reuse,
        now=now,
        paused_models=_paused(account),
        prefers_fresh=account.pause_reason is not None or account.is_provider_suspect,
        is_pooled=waiting.is_pooled,
    )
    if not admitted:
        return []
    if account.pause_reason is not None:
        _begin_canary(tx, services, account, admitted[0].job_id, now)
    budget.take(waiting.candidate.owner, sum(job.price for job in admitted))
    ids = [services.new_id() for _ in admitted]
    for job, generation_id in zip(admitted, ids, strict=True):
        named = {"job": str(job.job_id), "batch": str(job.batch_id), "generation": str(generation_id)}
        log.debug("job.active", **named)
        log.debug("generation.held", **named, held=job.price)
    _write_generations(tx, services, admitted, ids, now)
    first = _first_steps(admitted)
    _write_steps(tx, services, waiting.candidate.priority, admitted, ids, first, now)
    return [
        Ticket(job_id=job.job_id, kind=kind, fence=steps.first_fence(now), not_before=now)
        for job, (kind, is_first) in zip(admitted, first, strict=True)
        if is_first
    ]


def _write_generations(
    tx: Connection, services: Services, admitted: Sequence[Admitted], ids: Sequence[UUID], now: datetime
) -> None:
    generations.insert(tx, services.account_id, admitted, ids, now=now)
    postings = [
        Posting(batch_id=job.batch_id, generation_id=generation_id, movements=moves.hold(job.price))
        for job, generation_id in zip(admitted, ids, strict=True)
    ]
    entries.post(tx, postings, now=now)
    promised = [movement for posting in postings for movement in posting.movements]
    entries.commit_to(tx, promised, batch_id=admitted[0].batch_id, held_at=now)


def _first_steps(admitted: Sequence[Admitted]) -> list[tuple[StepKind, bool]]:
    """Return what each job does first, and whether now: of jobs with the same reference only the first uploads it."""
    seen: set[str] = set()
    first: list[tuple[StepKind, bool]] = []
    for job in admitted:
        if not job.references or job.has_upload:
            first.append((StepKind.SUBMIT, True))
        else:
            is_first = seen.isdisjoint(job.references) and not job.is_uploading
            seen.update(job.references)
            first.append((StepKind.UPLOAD, is_first))
    return first


def _write_steps(
    tx: Connection,
    services: Services,
    priority: Priority,
    admitted: Sequence[Admitted],
    ids: Sequence[UUID],
    first: Sequence[tuple[StepKind, bool]],
    now: datetime,
) -> None:
    """Write the steps; those that go on now are leased at once, the others wait to be woken by the uploader."""
    rows = [
        FirstStep(
            job_id=job.job_id,
            generation_id=generation_id,
            kind=kind,
            due_at=now if is_first else now + WAIT_FOR_UPLOADER,
            lease_until=now + QUEUED_LEASE if is_first else None,
        )
        for job, generation_id, (kind, is_first) in zip(admitted, ids, first, strict=True)
    ]
    steps.insert(tx, services.account_id, rows, priority=priority, now=now)
