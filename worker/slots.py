"""Who gets the slots of the account's pace: due steps and pending jobs, in shares, the most worthwhile first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.admission import admit
from worker.db import accounts, leases
from worker.db.accounts import AccountRow
from worker.db.steps import Ticket
from worker.domain import pace, ranking, window
from worker.domain.request import Priority
from worker.domain.step import StepKind
from worker.services import Services

MOST_PER_ROUND = 250
"""Steps that one round hands out at the most, so that its transaction stays short."""


def hand_out(tx: Connection, services: Services, account: AccountRow, now: datetime) -> tuple[Ticket, ...]:
    """Give each slot of the pace to a due step or a pending job."""
    offer = pace.grant(account.pace, now=now, wanted=MOST_PER_ROUND).slots
    tickets = _fill(tx, services, account, len(offer), now) if offer else []
    is_full = len(tickets) == len(offer) > 0
    services.latencies.note_round(is_full=is_full)
    if tickets:
        after = pace.grant(account.pace, now=now, wanted=len(tickets)).pace
        accounts.save_pace(tx, account.id, pace.raised(after, now=now, is_busy=is_full))
    return tuple(replace(t, not_before=slot) for t, slot in zip(tickets, offer, strict=False))


def permitted(account: AccountRow) -> Collection[StepKind]:
    """Say which steps are handed out: of a paused account those that may read, and those that give their holds back."""
    reason = account.pause_reason
    is_readable = reason is None or reason.permits_reading
    return tuple(StepKind) if is_readable else (StepKind.UPLOAD, StepKind.SUBMIT)


def _fill(tx: Connection, services: Services, account: AccountRow, slots: int, now: datetime) -> list[Ticket]:
    """Lease what is due, and admit what there is room for; where not all can be served, each class has its share."""
    kinds = permitted(account)
    due = leases.lease_all(tx, account.id, kinds=kinds, fewer_than=slots, now=now)
    if due is not None:
        return [*due, *admit(tx, services, account, slots - len(due), now).tickets]
    candidates = leases.due(tx, account.id, kinds=kinds, now=now)
    waiting = ranking.ranked(candidates, services.latencies.seen, now=now)
    given = admit(tx, services, account, slots, now, due={p: len(ids) for p, ids in waiting.items()})
    return [*_lease_ranked(tx, waiting, given.due, now), *given.tickets]


def _lease_ranked(
    tx: Connection, waiting: Mapping[Priority, Sequence[UUID]], count: Mapping[Priority, int], now: datetime
) -> list[Ticket]:
    """Take the first steps of each class, the most urgent class first."""
    chosen = [job_id for p in window.BY_RANK for job_id in waiting.get(p, ())[: count.get(p, 0)]]
    return leases.lease(tx, chosen, now=now)
