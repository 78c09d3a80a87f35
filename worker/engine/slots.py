"""Who gets the slots of the account's pace: due steps and pending jobs, in shares, the most worthwhile first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.accounts.queries import accounts, turns
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.rules import learned_rate, pace
from worker.accounts.rules.pace import Pace
from worker.core.rules.batch_request import Priority
from worker.core.rules.step import StepKind
from worker.engine.admission import admit
from worker.engine.queries import calls, leases
from worker.engine.queries.steps import Ticket
from worker.engine.rules import fairness, ranking, window
from worker.engine.services import Services

MOST_PER_ROUND = 250
"""Steps that one round hands out at the most, so that its transaction stays short."""


READS = (StepKind.POLL, StepKind.COLLECT)
"""Steps that only ask how a generation stands."""
WRITES = (StepKind.UPLOAD, StepKind.SUBMIT)


def hand_out(tx: Connection, services: Services, account: AccountRow, now: datetime) -> tuple[Ticket, ...]:
    """Assign each slot of the pace to a due step or a pending job; reads may have a pace of their own."""
    services.latencies.scarcity = account.scarcity
    if account.read_pace is None:
        return _by_pace(tx, services, account, (*READS, *WRITES), now)
    reads = _by_pace_of_reads(tx, services, account, account.read_pace, now)
    writes = _by_pace(tx, services, account, WRITES, now)
    # They are published one after the other, each when its slot begins.
    return tuple(sorted((*reads, *writes), key=lambda ticket: ticket.not_before))


def opens_at(account: AccountRow, *, now: datetime) -> datetime | None:
    """Return the instant from which a round has a slot to give, of either pace; None when it is past."""
    paces = (account.pace,) if account.read_pace is None else (account.pace, account.read_pace)
    instants = [pace.opens_at(each, now=now) for each in paces]
    return min((each for each in instants if each is not None), default=None) if None not in instants else None


def permitted(account: AccountRow) -> Collection[StepKind]:
    """Return the kinds of steps to hand out: those that only read, and void holds, while the account is paused."""
    reason = account.pause_reason
    is_readable = reason is None or reason.permits_reading
    return tuple(StepKind) if is_readable else WRITES


def _by_pace(
    tx: Connection, services: Services, account: AccountRow, kinds: Collection[StepKind], now: datetime
) -> tuple[Ticket, ...]:
    """Return each slot of the account's pace to a due step of these kinds, or to a pending job."""
    offer = pace.grant(account.pace, now=now, wanted=MOST_PER_ROUND).slots
    tickets = _fill(tx, services, account, kinds, len(offer), now) if offer else []
    if offer:
        _save_pace(tx, account, now, used=len(tickets), is_full=len(tickets) == len(offer))
    return _at(tickets, offer)


def _save_pace(tx: Connection, account: AccountRow, now: datetime, *, used: int, is_full: bool) -> None:
    """Store which slots are gone, what that says about a learned rate, and how scarce slots are."""
    scarcity = pace.scarcer(account.scarcity, is_full=is_full) if account.read_pace is None else None
    if not used and not (scarcity or account.scarcity):
        return
    after = pace.grant(account.pace, now=now, wanted=used).pace
    accounts.save_pace(tx, account.id, _judged(tx, account, after, now, is_full=is_full), scarcity=scarcity)


def _judged(tx: Connection, account: AccountRow, after: Pace, now: datetime, *, is_full: bool) -> Pace:
    if not is_full:
        return learned_rate.unused(after, now=now)
    if not learned_rate.has_stretch(after, now=now):
        return after
    are_reads_apart = account.read_pace is not None
    answered = calls.answered(tx, account.id, since=after.raised_at, until=now, are_reads_apart=are_reads_apart)
    return learned_rate.raised(after, now=now, answered=answered)


def _by_pace_of_reads(
    tx: Connection, services: Services, account: AccountRow, own: Pace, now: datetime
) -> tuple[Ticket, ...]:
    """Return each slot of the pace of reads to a due read; how scarce these slots are decides how often is polled."""
    offer = pace.grant(own, now=now, wanted=MOST_PER_ROUND).slots
    tickets = _fill_with_reads(tx, services, account, len(offer), now) if offer else []
    if offer and (tickets or account.scarcity):
        scarcity = pace.scarcer(account.scarcity, is_full=len(tickets) == len(offer))
        after = pace.grant(own, now=now, wanted=len(tickets)).pace
        accounts.save_read_pace(tx, account.id, after, scarcity=scarcity)
    return _at(tickets, offer)


def _fill(
    tx: Connection, services: Services, account: AccountRow, kinds: Collection[StepKind], slots: int, now: datetime
) -> list[Ticket]:
    """Lease what is due, and admit what there is room for; where not all can be served, each class has its share."""
    kinds = [kind for kind in kinds if kind in permitted(account)]
    due = leases.lease_all(tx, account.id, kinds=kinds, fewer_than=slots, now=now)
    if due is not None:
        return [*due, *admit(tx, services, account, slots - len(due), now).tickets]
    waiting = _ranked(tx, services, account, kinds, now)
    given = admit(tx, services, account, slots, now, due=_counts(waiting))
    return [*_lease_ranked(tx, waiting, given.due, now), *given.tickets]


def _fill_with_reads(
    tx: Connection, services: Services, account: AccountRow, slots: int, now: datetime
) -> list[Ticket]:
    """Lease the reads that are due; where not all can be served, each class has its share."""
    kinds = [kind for kind in READS if kind in permitted(account)]
    due = leases.lease_all(tx, account.id, kinds=kinds, fewer_than=slots, now=now)
    if due is not None:
        return due
    waiting = _ranked(tx, services, account, kinds, now)
    share = fairness.allot((), account.read_turns, slots, due=_counts(waiting))
    turns.save_of_reads(tx, account.id, share.turns)
    return _lease_ranked(tx, waiting, share.due, now)


def _ranked(
    tx: Connection, services: Services, account: AccountRow, kinds: Collection[StepKind], now: datetime
) -> dict[Priority, list[UUID]]:
    candidates = leases.due(tx, account.id, kinds=kinds, now=now)
    return ranking.ranked(candidates, services.latencies.seen, now=now)


def _counts(waiting: Mapping[Priority, Sequence[UUID]]) -> dict[Priority, int]:
    return {priority: len(ids) for priority, ids in waiting.items()}


def _lease_ranked(
    tx: Connection, waiting: Mapping[Priority, Sequence[UUID]], count: Mapping[Priority, int], now: datetime
) -> list[Ticket]:
    """Take the first steps of each class, the most urgent class first."""
    chosen = [job_id for p in window.BY_RANK for job_id in waiting.get(p, ())[: count.get(p, 0)]]
    return leases.lease(tx, chosen, now=now)


def _at(tickets: Sequence[Ticket], offer: Sequence[datetime]) -> tuple[Ticket, ...]:
    return tuple(replace(t, not_before=slot) for t, slot in zip(tickets, offer, strict=False))
