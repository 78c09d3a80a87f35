"""One round of dispatch: lease due steps and admit pending jobs within the account's rate limit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts, provider_health
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.rules import learned_rate, pace
from worker.accounts.rules.pace import Pace
from worker.core.rules import retry
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import READS, WRITES, StepKind
from worker.engine.admission import admit
from worker.engine.queries import calls, maintenance, step_moves
from worker.engine.queries.steps import Ticket
from worker.engine.rules import fairness, ranking
from worker.engine.services import Services

log = structlog.get_logger(__name__)
GATHER = timedelta(milliseconds=50)
"""From the beginning of a round that handed something out to the next, so that it finds more at once: a round, and each
message, costs as much as a step. A notification ends it sooner."""
GATHER_WHILE_BUSY = timedelta(milliseconds=150)
"""From one round to the next on a node whose threads are all busy: what it found sooner would only wait in the broker.
Shorter than the horizon of slots, so that the stream stays even. A notification ends it sooner."""
REPLACED_WAIT = timedelta(minutes=1)
"""How often a node says that it may not work, because the account is used with another key now."""
LONGEST_WAIT = timedelta(seconds=1)
"""Between two rounds, however quiet it is; a lost notification costs no more."""
CONTENDED_WAIT = timedelta(milliseconds=25)
"""Before a batch of a pool is looked for again that another account's round had: rounds are short, slots go by."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round decided: the tickets to publish, whether to probe the account, and when to look again."""

    began_at: datetime
    tickets: tuple[Ticket, ...] = ()
    is_probe_due: bool = False
    maintenance: tuple[str, ...] = ()
    """What is due that is done every so often; this round has taken it."""
    is_replaced: bool = False
    """Whether the account is used with another account at a provider now: this node has nothing to do any more."""
    look_again_at: datetime | None = None
    """The next instant at which something becomes due; None when nothing is known of."""

    def wait(self, now: datetime, *, is_busy: bool) -> timedelta:
        """Return the time until the next round, of a node whose threads are all busy or not.

        Tickets are published in the rhythm of their slots, so that a part of it may be over.
        """
        if self.look_again_at is None:
            return LONGEST_WAIT
        earliest = self.began_at + GATHER_WHILE_BUSY if is_busy else self.began_at
        return min(max(self.look_again_at - now, earliest - now, timedelta(0)), LONGEST_WAIT)


def run(services: Services) -> Round:
    """Lease what is due and admit what there is room for, in one short transaction.

    Locks the account; gives an empty round when another dispatcher has it. The caller publishes the tickets after
    the commit; one that is never published comes due again when its lease ends.
    """
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.try_lock(tx, services.account_id)
        if account is None:
            return Round(began_at=now, look_again_at=now + pace.HORIZON)
        if account.binding != services.binding:
            return Round(began_at=now, is_replaced=True, look_again_at=now + REPLACED_WAIT)
        free = step_moves.lease_free(tx, account.id, limit=MOST_PER_ROUND, now=now)
        given = hand_out(tx, services, account, now)
        is_probe_due = _begin_probes(tx, services, account, now)
        due = maintenance.claim_due(tx, account.id, now=now)
        look_again_at = _look_again_at(tx, account, now, given=given, maintenance_at=due.next_at)
    tickets = (*free, *given.tickets)
    return Round(
        began_at=now, tickets=tickets, is_probe_due=is_probe_due, maintenance=due.kinds, look_again_at=look_again_at
    )


def _begin_probes(tx: Connection, services: Services, account: AccountRow, now: datetime) -> bool:
    """Count the probes that are due, of a paused account and of paused models; say whether there are any."""
    due = [each for each in account.paused_models if each.probe_at <= now]
    for each in due:
        wait = retry.PROBE.wait(each.probes + 2, services.jitter())
        provider_health.begin_model_probe(tx, account.id, each, next_at=now + wait)
    return _begin_probe(tx, services, account, now) or bool(due)


def _begin_probe(tx: Connection, services: Services, account: AccountRow, now: datetime) -> bool:
    """Count a probe of a paused account when one is due; each is further from the last."""
    reason, probe_at = account.pause_reason, account.probe_at
    if reason is None or not reason.ends_by_itself or probe_at is None or now < probe_at:
        return False
    wait = retry.PROBE.wait(account.probes + 2, services.jitter())
    accounts.begin_probe(tx, account.id, next_at=now + wait)
    return True


def _look_again_at(
    tx: Connection, account: AccountRow, now: datetime, *, given: "HandedOut", maintenance_at: datetime | None
) -> datetime | None:
    """Return when the next round is worth while: at once after a full one, else when the next step is due."""
    if given.is_contended:
        return now + CONTENDED_WAIT
    if given.tickets:
        return now + GATHER
    due = step_moves.next_due(tx, account.id, kinds=permitted(account))
    # What is due already and was not handed out waits for a slot, as pending jobs do, or for the key to be open again.
    open_at = opens_at(account, now=now)
    if due is not None and due <= now:
        due = now + pace.HORIZON
    if due is not None and open_at is not None:
        due = max(due, open_at)
    models = [each.probe_at for each in account.paused_models]
    instants = (due, open_at, _probe_at(account, now), maintenance_at, *models)
    return min((instant for instant in instants if instant is not None), default=None)


def _probe_at(account: AccountRow, now: datetime) -> datetime | None:
    """Return when the next look at a paused account is due; a canary that is due waits for a job, or for its steps."""
    reason, probe_at = account.pause_reason, account.probe_at
    if reason is None or probe_at is None or not reason.sends_canaries:
        return probe_at
    return probe_at if probe_at > now else None


MOST_PER_ROUND = 250
"""Steps that one round hands out at the most, so that its transaction stays short."""


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """What has a slot of the pace."""

    tickets: tuple[Ticket, ...]
    is_contended: bool
    """Whether more jobs may wait in a batch of a pool that another account's round had."""


def hand_out(tx: Connection, services: Services, account: AccountRow, now: datetime) -> HandedOut:
    """Assign each slot of the pace to a due step or a pending job; reads may have a pace of their own."""
    services.latencies.saturation = account.saturation
    if account.read_pace is None:
        return _by_pace(tx, services, account, (*READS, *WRITES), now)
    reads = _by_pace_of_reads(tx, services, account, account.read_pace, now)
    writes = _by_pace(tx, services, account, WRITES, now)
    # They are published one after the other, each when its slot begins.
    tickets = tuple(sorted((*reads, *writes.tickets), key=lambda ticket: ticket.not_before))
    return replace(writes, tickets=tickets)


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
) -> HandedOut:
    """Return each slot of the account's pace to a due step of these kinds, or to a pending job."""
    offer = pace.grant(account.pace, now=now, wanted=MOST_PER_ROUND).slots
    if not offer:
        return HandedOut(tickets=(), is_contended=False)
    filled = _fill(tx, services, account, kinds, len(offer), now)
    is_full = len(filled.tickets) == len(offer)
    _save_pace(tx, account, now, used=len(filled.tickets), is_full=is_full)
    return HandedOut(tickets=_at(filled.tickets, offer), is_contended=filled.is_contended and not is_full)


def _save_pace(tx: Connection, account: AccountRow, now: datetime, *, used: int, is_full: bool) -> None:
    """Store which slots are gone, what that says about a learned rate, and how saturated the rate is."""
    saturation = pace.saturation(account.saturation, is_full=is_full) if account.read_pace is None else None
    if not used and not (saturation or account.saturation):
        return
    after = pace.grant(account.pace, now=now, wanted=used).pace
    accounts.save_pace(tx, account.id, _learned_pace(tx, account, after, now, is_full=is_full), saturation=saturation)


def _learned_pace(tx: Connection, account: AccountRow, after: Pace, now: datetime, *, is_full: bool) -> Pace:
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
    """Return each slot of the pace of reads to a due read; their saturation decides how often is polled."""
    offer = pace.grant(own, now=now, wanted=MOST_PER_ROUND).slots
    tickets = _fill_with_reads(tx, services, account, len(offer), now) if offer else []
    if offer and (tickets or account.saturation):
        saturation = pace.saturation(account.saturation, is_full=len(tickets) == len(offer))
        after = pace.grant(own, now=now, wanted=len(tickets)).pace
        accounts.save_read_pace(tx, account.id, after, saturation=saturation)
    return _at(tickets, offer)


def _fill(
    tx: Connection, services: Services, account: AccountRow, kinds: Collection[StepKind], slots: int, now: datetime
) -> HandedOut:
    """Lease what is due, and admit what there is room for; where not all can be served, each class has its share."""
    kinds = [kind for kind in kinds if kind in permitted(account)]
    due = step_moves.lease_all(tx, account.id, kinds=kinds, fewer_than=slots, now=now)
    if due is not None:
        given = admit(tx, services, account, slots - len(due), now)
        return HandedOut(tickets=(*due, *given.tickets), is_contended=given.is_contended)
    waiting = _ranked(tx, services, account, kinds, now)
    given = admit(tx, services, account, slots, now, due=_counts(waiting))
    tickets = (*_lease_ranked(tx, waiting, given.due, now), *given.tickets)
    return HandedOut(tickets=tickets, is_contended=given.is_contended)


def _fill_with_reads(
    tx: Connection, services: Services, account: AccountRow, slots: int, now: datetime
) -> list[Ticket]:
    """Lease the reads that are due; where not all can be served, each class has its share."""
    kinds = [kind for kind in READS if kind in permitted(account)]
    due = step_moves.lease_all(tx, account.id, kinds=kinds, fewer_than=slots, now=now)
    if due is not None:
        return due
    waiting = _ranked(tx, services, account, kinds, now)
    share = fairness.allocate((), account.read_virtual_times, slots, due=_counts(waiting))
    accounts.save_virtual_times_of_reads(tx, account.id, share.virtual_times)
    return _lease_ranked(tx, waiting, share.due, now)


def _ranked(
    tx: Connection, services: Services, account: AccountRow, kinds: Collection[StepKind], now: datetime
) -> dict[Priority, list[UUID]]:
    candidates = step_moves.due(tx, account.id, kinds=kinds, now=now)
    return ranking.ranked(candidates, services.latencies.seen, now=now)


def _counts(waiting: Mapping[Priority, Sequence[UUID]]) -> dict[Priority, int]:
    return {priority: len(ids) for priority, ids in waiting.items()}


def _lease_ranked(
    tx: Connection, waiting: Mapping[Priority, Sequence[UUID]], count: Mapping[Priority, int], now: datetime
) -> list[Ticket]:
    """Take the first steps of each class, the most urgent class first."""
    chosen = [job_id for p in fairness.BY_RANK for job_id in waiting.get(p, ())[: count.get(p, 0)]]
    return step_moves.lease(tx, chosen, now=now)


def _at(tickets: Sequence[Ticket], offer: Sequence[datetime]) -> tuple[Ticket, ...]:
    return tuple(replace(t, not_before=slot) for t, slot in zip(tickets, offer, strict=False))
