"""One round of dispatch: which steps may go on now, and which pending jobs begin."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts, model_pauses
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.rules import pace
from worker.core.rules import retry
from worker.engine import slots
from worker.engine.queries import leases, upkeep
from worker.engine.queries.steps import Ticket
from worker.engine.rules.upkeep import UpkeepKind
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


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round decided: the tickets to publish, whether to probe the account, and when to look again."""

    began_at: datetime
    tickets: tuple[Ticket, ...] = ()
    is_probe_due: bool = False
    upkeep: tuple[UpkeepKind, ...] = ()
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
        free = leases.lease_free(tx, account.id, limit=slots.MOST_PER_ROUND, now=now)
        requests = slots.hand_out(tx, services, account, now)
        is_probe_due = _begin_probes(tx, services, account, now)
        due = upkeep.claim_due(tx, account.id, now=now)
        look_again_at = _look_again_at(tx, account, now, handed_out=len(requests), upkeep_at=due.next_at)
    tickets = (*free, *requests)
    return Round(
        began_at=now, tickets=tickets, is_probe_due=is_probe_due, upkeep=due.kinds, look_again_at=look_again_at
    )


def _begin_probes(tx: Connection, services: Services, account: AccountRow, now: datetime) -> bool:
    """Count the probes that are due, of a paused account and of paused models; say whether there are any."""
    due = [each for each in account.paused_models if each.probe_at <= now]
    for each in due:
        wait = retry.PROBE.wait(each.probes + 2, services.jitter())
        model_pauses.begin_probe(tx, account.id, each, next_at=now + wait)
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
    tx: Connection, account: AccountRow, now: datetime, *, handed_out: int, upkeep_at: datetime | None
) -> datetime | None:
    """Return when the next round is worth while: at once after a full one, else when the next step is due."""
    if handed_out:
        return now + GATHER
    due = leases.next_due(tx, account.id, kinds=slots.permitted(account))
    # What is due already and was not handed out waits for a slot, as pending jobs do, or for the key to be open again.
    open_at = slots.opens_at(account, now=now)
    if due is not None and due <= now:
        due = now + pace.HORIZON
    if due is not None and open_at is not None:
        due = max(due, open_at)
    models = [each.probe_at for each in account.paused_models]
    instants = (due, open_at, _probe_at(account, now), upkeep_at, *models)
    return min((instant for instant in instants if instant is not None), default=None)


def _probe_at(account: AccountRow, now: datetime) -> datetime | None:
    """Return when the next look at a paused account is due; a canary that is due waits for a job, or for its steps."""
    reason, probe_at = account.pause_reason, account.probe_at
    if reason is None or probe_at is None or not reason.sends_canaries:
        return probe_at
    return probe_at if probe_at > now else None
