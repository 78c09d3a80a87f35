"""What an operator may do with an account: stop its paid work, let it go on, and set its limits; each is recorded."""

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import account_limits, accounts, provider_health
from worker.accounts.queries.account_limits import AccountView
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import PauseReason

log = structlog.get_logger(__name__)


def pause(database: Database, name: str, by: Author) -> AccountView:
    """Pause paid work until a person resumes it; generations in flight are polled and downloaded.

    It takes the place of a pause that would end by itself.
    """
    with database.transaction() as tx:
        before = _locked(tx, name, by)
        accounts.pause(
            tx,
            before.id,
            reason=PauseReason.OPERATOR,
            message=f"{by.actor}: {by.reason}" if by.reason else by.actor,
            now=by.now,
            probe_at=None,
            probes=0,
        )
        _record(tx, before, "pause", before.pause_reason, PauseReason.OPERATOR, by)
        paused = _view(tx, name, by)
    log.info("account.paused", account=str(before.id), reason=PauseReason.OPERATOR, by=by.actor)
    return paused


def resume(database: Database, name: str, by: Author) -> AccountView:
    """Resume the account and its models, whatever they were paused for, and open a key that a 429 has closed.

    A cause that lasts pauses them again.
    """
    with database.transaction() as tx:
        locked = accounts.lock(tx, _view(tx, name, by).id)
        before = _view(tx, name, by)
        if before.pause_reason is not None:
            accounts.resume(tx, before.id, PauseReason(before.pause_reason), now=by.now)
            provider_health.end_episode(tx, before.id, now=by.now)
            _record(tx, before, "pause", before.pause_reason, None, by)
        closed_until = accounts.open_key(tx, locked, now=by.now)
        if closed_until is not None:
            _record(tx, before, "closed_until", closed_until.isoformat(), None, by)
        paused = [each.model for each in provider_health.paused_models(tx, before.id)]
        for model in provider_health.resume_model(tx, before.id, paused, now=by.now):
            _record(tx, before, "model_pause", model, None, by)
        session.notify(tx)
        after = _view(tx, name, by)
    if before.pause_reason is not None:
        log.info("account.resumed", account=str(before.id), reason=before.pause_reason, by=by.actor)
    return after


def set_limits(
    database: Database,
    name: str,
    by: Author,
    *,
    rate: float | str | None = None,
    read_rate: float | str | None = None,
    max_in_flight: int | None = None,
) -> AccountView:
    """Set the pace (requests a second, or ``auto``), that of reads (or ``shared``), or the window, or several of them.

    In force with the next round of dispatch. It stays, over restarts of the nodes, until DARKROOM_RATE,
    DARKROOM_READ_RATE or DARKROOM_MAX_IN_FLIGHT says something new.
    """
    with database.transaction() as tx:
        before = _locked(tx, name, by)
        now_learned = before.is_rate_learned if rate is None else rate == "auto"
        figure = rate if isinstance(rate, float | int) else None
        accounts.configure(
            tx,
            before.id,
            rate=None if now_learned else (figure or before.rate),
            max_in_flight=max_in_flight or before.max_in_flight,
            now=by.now,
        )
        if read_rate is not None:
            account_limits.set_read_rate(tx, before.id, None if isinstance(read_rate, str) else read_rate)
        after = _view(tx, name, by)
        _record(tx, before, "rate", _rate(before), _rate(after), by)
        _record(tx, before, "read_rate", _read_rate(before), _read_rate(after), by)
        _record(tx, before, "max_in_flight", before.max_in_flight, after.max_in_flight, by)
        return after


def _locked(tx: Connection, name: str, by: Author) -> AccountView:
    """Lock the account against a round of dispatch; raise LookupError with its name when there is none."""
    accounts.lock(tx, _view(tx, name, by).id)
    return _view(tx, name, by)


def _view(tx: Connection, name: str, by: Author) -> AccountView:
    found = account_limits.view(tx, name, now=by.now)
    if found is None:
        raise LookupError(name)
    return found


def _rate(account: AccountView) -> str:
    return "auto" if account.is_rate_learned else f"{account.rate:g}"


def _read_rate(account: AccountView) -> str:
    return account_limits.SHARED if account.read_rate is None else f"{account.read_rate:g}"


def _record(tx: Connection, account: AccountView, field: str, before: object, after: object, by: Author) -> None:
    changes.record(tx, by, f"account:{account.name}", field, before=before, after=after)
