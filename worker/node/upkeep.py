"""What is done again and again: read the wallet, seal the ledger, look after deadlines, doubts, catalogs and store."""

from datetime import timedelta
from typing import assert_never

import structlog

from worker.accounts.queries import accounts
from worker.audit import resolve, sealing
from worker.audit.queries import seals
from worker.batches import deadlines
from worker.catalog import harvest, hooks, scheduling
from worker.core.db import session
from worker.core.rules.error_words import with_type
from worker.core.rules.errors import ProviderError, Throttled
from worker.engine import store_watch
from worker.engine.queries import upkeep
from worker.engine.queries.upkeep import Unended
from worker.engine.rules.upkeep import UpkeepKind
from worker.engine.services import Services
from worker.engine.steps import pacing
from worker.engine.steps.calling import Calls
from worker.provider.wire import GenerationView

log = structlog.get_logger(__name__)

AGAIN_SOON = timedelta(seconds=10)
"""How soon what could not be done is tried again, where waiting for the next time would be too long."""

OLD = timedelta(hours=1)
"""An accepted generation that has not ended after this is asked about beside its polls, and the answer kept."""

MOST_REREAD = 20
"""Generations that are asked about in one go; when there are more, the next go follows soon."""


def run(services: Services, kind: UpkeepKind) -> None:
    """Do it once, and note how it ended; doing it twice, or late, does no harm."""
    error: str | None = None
    try:
        _do(services, kind)
    except Exception as crash:
        log.exception("upkeep.crashed", kind=kind)
        error = with_type(crash)
    with services.database.transaction() as tx:
        upkeep.note_end(tx, services.account_id, kind, error=error, now=services.clock())


def _do(services: Services, kind: UpkeepKind) -> None:
    match kind:
        case UpkeepKind.WALLET:
            _read_wallet(services)
        case UpkeepKind.SEAL:
            _seal(services)
        case UpkeepKind.REREAD:
            _reread(services)
        case UpkeepKind.DEADLINES:
            _end_passed(services)
        case UpkeepKind.HARVEST:
            harvest.harvest(services.database, now=services.clock(), new_id=services.new_id)
        case UpkeepKind.SCHEDULE:
            scheduling.tick(services, now=services.clock())
        case UpkeepKind.HOOKS:
            hooks.send_due(services.database, services.store, clock=services.clock)
        case UpkeepKind.STORE:
            store_watch.check(services)
        case _:
            assert_never(kind)


def _read_wallet(services: Services) -> None:
    """Record the balance; admissions that waited for a reading go on."""
    asked_at = pacing.take_slot(services)
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


def _end_passed(services: Services) -> None:
    """End what is past its deadline; what may have been paid for is asked about soon."""
    now = services.clock()
    ended = deadlines.end_passed(services.database, services.account_id, now=now)
    if not ended.is_all:
        _hasten(services, UpkeepKind.DEADLINES, timedelta(0))
    if ended.doubted:
        _hasten(services, UpkeepKind.REREAD)


def _reread(services: Services) -> None:
    """Ask about some of them, and take up what the provider has ended; the others have their turn soon."""
    now = services.clock()
    with services.database.transaction() as tx:
        asked_about = upkeep.unended(tx, services.account_id, accepted_before=now - OLD, limit=MOST_REREAD, now=now)
    for generation in asked_about:
        answer = _ask_about(services, generation)
        if answer is None:
            return
        if isinstance(answer, GenerationView):
            resolve.take_up(services, generation.generation_id, answer)
    if len(asked_about) == MOST_REREAD:
        _hasten(services, UpkeepKind.REREAD)


def _ask_about(services: Services, generation: Unended) -> GenerationView | ProviderError | None:
    """Keep what the provider says, and give it; None when it cannot be asked now."""
    if pacing.take_slot(services) is None:
        return None
    calls = Calls(services, generation.generation_id)
    try:
        answer: GenerationView | ProviderError = calls.get(generation.provider_id)
    except Throttled as error:
        _note_failure(services, calls, error, kind=UpkeepKind.REREAD)
        return None
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
    return answer


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


def _note_failure(services: Services, calls: Calls, error: ProviderError, *, kind: UpkeepKind) -> None:
    """Close a throttled key; a wallet whose floor waits for its first reading is read again soon."""
    if isinstance(error, Throttled):
        pacing.close_key(services, error)
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        calls.write(tx)
    log.warning("upkeep.failed", kind=kind, error=str(error))
    if kind is UpkeepKind.WALLET and account.wallet_left is None and services.policies.wallet_floor is not None:
        _hasten(services, kind)


def _hasten(services: Services, kind: UpkeepKind, wait: timedelta = AGAIN_SOON) -> None:
    with services.database.transaction() as tx:
        upkeep.schedule_now(tx, services.account_id, kind, due_at=services.clock() + wait)
