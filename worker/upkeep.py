"""What is done again and again: read the wallet, seal the ledger, ask about old generations, look after catalogs."""

from datetime import datetime, timedelta
from typing import assert_never

import structlog

from worker.audit import sealing
from worker.catalog import harvest, hooks, scheduling
from worker.db import accounts, seals, session, upkeep
from worker.db.upkeep import Unended
from worker.domain import pace
from worker.domain.errors import ProviderError, Throttled
from worker.domain.upkeep import UpkeepKind
from worker.rivya.wire import GenerationView
from worker.services import Services
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)

AGAIN_SOON = timedelta(seconds=10)
"""How soon what could not be done is tried again, where waiting for the next time would be too long."""

OLD = timedelta(hours=1)
"""An accepted generation that has not ended after this is asked about beside its polls, and the answer kept."""

MOST_REREAD = 20
"""Generations that are asked about in one go; when there are more, the next go follows soon."""


def run(services: Services, kind: UpkeepKind) -> None:
    """Do it once; doing it twice, or late, does no harm."""
    match kind:
        case UpkeepKind.WALLET:
            _read_wallet(services)
        case UpkeepKind.SEAL:
            _seal(services)
        case UpkeepKind.REREAD:
            _reread(services)
        case UpkeepKind.HARVEST:
            harvest.harvest(services.database, now=services.clock(), new_id=services.new_id)
        case UpkeepKind.SCHEDULE:
            scheduling.tick(services, now=services.clock())
        case UpkeepKind.HOOKS:
            hooks.send_due(services.database, services.store, now=services.clock())
        case _:
            assert_never(kind)


def _read_wallet(services: Services) -> None:
    """Record the balance; admissions that waited for a reading go on."""
    asked_at = _take_slot(services)
    if asked_at is None:
        return
    calls = Calls(services, None)
    try:
        balance = calls.credits()
    except ProviderError as error:
        _note_failure(services, calls, error, kind=UpkeepKind.WALLET)
        return
    with services.database.transaction() as tx:
        accounts.record_wallet(
            tx,
            reading_id=services.new_id(),
            account_id=services.account_id,
            balance=balance,
            now=services.clock(),
            asked_at=asked_at,
        )
        calls.write(tx)
        if services.policies.wallet_floor is not None:
            session.notify(tx)


def _seal(services: Services) -> None:
    """Seal what is new, and write the hash into the log: an anchor outside the database."""
    with services.database.transaction() as tx:
        before = seals.last(tx)
    try:
        newest = sealing.seal(services.database, now=services.clock())
    except sealing.LedgerBusy as error:
        log.warning("ledger.not_sealed", error=str(error))
        _hasten(services, UpkeepKind.SEAL)
        return
    if newest is not None and newest != before:
        log.info(
            "ledger.sealed",
            seal=newest.id,
            hash=newest.hash.hex(),
            until=newest.last_entry_id,
            sealed_at=newest.sealed_at.isoformat(),
        )


def _reread(services: Services) -> None:
    now = services.clock()
    with services.database.transaction() as tx:
        asked_about = upkeep.unended(tx, services.account_id, accepted_before=now - OLD, limit=MOST_REREAD, now=now)
    for generation in asked_about:
        if not _ask_about(services, generation):
            return
    if len(asked_about) == MOST_REREAD:
        _hasten(services, UpkeepKind.REREAD)


def _ask_about(services: Services, generation: Unended) -> bool:
    """Keep what the provider says; False when it cannot be asked now."""
    if _take_slot(services) is None:
        return False
    calls = Calls(services, generation.generation_id)
    try:
        answer: GenerationView | ProviderError = calls.get(generation.provider_id)
    except Throttled as error:
        _note_failure(services, calls, error, kind=UpkeepKind.REREAD)
        return False
    except ProviderError as error:
        answer = error
    with services.database.transaction() as tx:
        upkeep.add_reading(
            tx,
            reading_id=services.new_id(),
            generation_id=generation.generation_id,
            now=services.clock(),
            said=_said(answer),
        )
        calls.write(tx)
    return True


def _said(answer: GenerationView | ProviderError) -> dict[str, object]:
    if isinstance(answer, ProviderError):
        words = {"code": answer.code, "message": answer.message}
        return {"status": None, "reserved": None, "final": None, **words}
    return {
        "status": answer.status.value,
        "reserved": answer.reserved_credits,
        "final": answer.final_credits,
        "code": answer.error_code,
        "message": answer.error_message,
    }


def _take_slot(services: Services) -> datetime | None:
    """Wait for a slot of the account's pace, and give the instant; None while the key may not be used."""
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock_now(tx, services.account_id)
        slot = pace.next_slot(account.pace, now=now)
        is_readable = account.pause_reason is None or account.pause_reason.permits_reading
        if slot is None or not is_readable:
            return None
        accounts.save_pace(tx, services.account_id, slot.pace)
    services.pause(min(max((slot.slots[0] - now).total_seconds(), 0.0), 1.0))
    return services.clock()


def _note_failure(services: Services, calls: Calls, error: ProviderError, *, kind: UpkeepKind) -> None:
    """Close a throttled key; a wallet whose floor waits for its first reading is read again soon."""
    with services.database.transaction() as tx:
        account = accounts.lock_now(tx, services.account_id)
        if isinstance(error, Throttled):
            closed = pace.throttled(account.pace, now=services.clock(), retry_after=error.retry_after)
            accounts.save_pace(tx, services.account_id, closed)
        calls.write(tx)
    log.warning("upkeep.failed", kind=kind, error=str(error))
    if kind is UpkeepKind.WALLET and account.wallet_left is None and services.policies.wallet_floor is not None:
        _hasten(services, kind)


def _hasten(services: Services, kind: UpkeepKind) -> None:
    with services.database.transaction() as tx:
        upkeep.hasten(tx, services.account_id, kind, due_at=services.clock() + AGAIN_SOON)
