"""How a call keeps to the account's pace where no dispatcher gave it a slot, and what a 429 does to the key."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.accounts.queries import accounts
from worker.accounts.rules import learned_rate, pace
from worker.accounts.rules.pace import Pace
from worker.core.rules.error_words import first_line
from worker.core.rules.errors import Throttled
from worker.engine.queries import calls
from worker.engine.services import Services

log = structlog.get_logger(__name__)

_LOGGED = timedelta(milliseconds=100)
"""So long after its answer a call is surely in the log, unless the database is slow."""


def take_slot(services: Services, *, is_paused_too: bool = False) -> datetime | None:
    """Wait for a slot for a read, and give the instant; None while the key may not be used.

    A pause that does not permit reading closes it, unless ``is_paused_too``.
    """
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        slot = pace.next_slot(account.read_pace or account.pace, now=now)
        is_readable = is_paused_too or account.pause_reason is None or account.pause_reason.permits_reading
        if slot is None or not is_readable:
            return None
        save = accounts.save_pace if account.read_pace is None else accounts.save_read_pace
        save(tx, services.account_id, slot.pace)
    services.pause(min(max((slot.slots[0] - now).total_seconds(), 0.0), 1.0))
    return services.clock()


def close_key(services: Services, error: Throttled) -> timedelta:
    """Close the key for every worker until the provider's time; gives the wait until then."""
    now = services.clock()
    with services.database.transaction() as tx:
        before = accounts.lock(tx, services.account_id).pace
        is_again = _is_again(tx, services, before, error, now)
        since = learned_rate.counted_since(before, now=now, is_again=is_again, retry_after=error.retry_after)
        answered = calls.answered(tx, services.account_id, since=since - _LOGGED, until=now - _LOGGED)
        after = learned_rate.throttled(
            before,
            now=now,
            retry_after=error.retry_after,
            answered=answered,
            sent_at=error.sent_at,
            is_again=is_again,
        )
        accounts.save_pace(tx, services.account_id, after)
    log.warning("account.throttled", account=str(services.account_id), until=after.blocked_until, rate=after.rate)
    assert after.blocked_until is not None
    return max(after.blocked_until - now, timedelta(0))


def _is_again(tx: Connection, services: Services, before: Pace, error: Throttled, now: datetime) -> bool:
    """Return whether nothing like the refused request was answered since the key was opened."""
    if before.blocked_until is None or now < before.blocked_until or pace.is_run_over(before, now=now):
        return False
    return not calls.answered(
        tx, services.account_id, since=before.blocked_until, until=now, are_reads_apart=error.is_write
    )


def hold_key(services: Services, wait: timedelta) -> None:
    """Close the key for every worker until the provider's limit resets: it says that no request remains.

    Without the database nothing is closed, and the provider answers with a 429.
    """
    now = services.clock()
    try:
        with services.database.transaction() as tx:
            before = accounts.lock(tx, services.account_id).pace
            after = pace.held(before, now=now, wait=wait)
            accounts.save_pace(tx, services.account_id, after)
    except DBAPIError as error:
        log.warning("account.not_held", error=first_line(error.orig))
        return
    log.info("account.limit_used_up", account=str(services.account_id), until=after.blocked_until)
