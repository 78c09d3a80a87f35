"""What the books rest on beside the jobs' own calls: readings of the wallet and of open generations, and seals."""

from datetime import timedelta

import structlog

from worker.accounts.queries import accounts
from worker.accounts.queries.accounts import AccountRow
from worker.audit import resolve, sealing
from worker.audit.queries import seals
from worker.core.db import session
from worker.core.rules.errors import ProviderError, Throttled
from worker.engine import checks
from worker.engine.queries import maintenance
from worker.engine.queries.maintenance import MaintenanceName, Unended
from worker.engine.services import Services
from worker.engine.steps import calling
from worker.engine.steps.calling import Calls
from worker.node.maintenance.job import MaintenanceJob, schedule_now
from worker.provider.wire import GenerationView

log = structlog.get_logger(__name__)

OLD = timedelta(hours=1)
"""An accepted generation that has not ended after this is asked about beside its polls, and the answer kept."""

MOST_REREAD = 20
"""Generations that are asked about in one go; when there are more, the next go follows soon."""


def _read_wallet(services: Services) -> None:
    """Read the wallet, so that every credit that leaves it can be explained; waiting admissions go on."""
    asked_at = calling.acquire_permit(services)
    if asked_at is None:
        return
    calls = Calls(services, None)
    try:
        balance = calls.credits()
    except ProviderError as error:
        account = _note_failed_call(services, calls, error, name=MaintenanceName.WALLET)
        # A floor holds back every admission until the wallet was read once.
        if services.policies.wallet_floor is not None and account.wallet_left is None:
            schedule_now(services, MaintenanceName.WALLET)
        return
    with services.database.transaction() as tx:
        checks.write_wallet(tx, services, calls, balance, asked_at)
        session.notify(tx)


def _reread(services: Services) -> None:
    """Ask about generations whose end is not known, and go on with those that the provider says have ended."""
    now = services.clock()
    with services.database.transaction() as tx:
        asked_about = maintenance.unended(
            tx, services.account_id, accepted_before=now - OLD, limit=MOST_REREAD, now=now
        )
    for generation in asked_about:
        answer = _ask_about(services, generation)
        if answer is None:
            return
        if isinstance(answer, GenerationView):
            resolve.adopt_answer(services, generation.generation_id, answer)
    if len(asked_about) == MOST_REREAD:
        schedule_now(services, MaintenanceName.REREAD)


def _ask_about(services: Services, generation: Unended) -> GenerationView | ProviderError | None:
    """Keep what the provider says, and return it; None when it cannot be asked now."""
    if calling.acquire_permit(services) is None:
        return None
    calls = Calls(services, generation.generation_id)
    try:
        answer: GenerationView | ProviderError = calls.get(generation.provider_id)
    except Throttled as error:
        _note_failed_call(services, calls, error, name=MaintenanceName.REREAD)
        return None
    except ProviderError as error:
        answer = error
    with services.database.transaction() as tx:
        maintenance.add_reading(
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


def _note_failed_call(services: Services, calls: Calls, error: ProviderError, *, name: str) -> AccountRow:
    """Record a call that the provider refused; a throttled one closes the key. Return the account as it was."""
    if isinstance(error, Throttled):
        calling.close_key(services, error)
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        calls.write(tx)
    log.warning("maintenance.failed", kind=name, error=str(error))
    return account


def _seal(services: Services) -> None:
    """Bind the new entries of the ledger by a seal, and log its hash: an anchor outside the database."""
    with services.database.transaction() as tx:
        before = seals.last(tx)
    try:
        newest = sealing.seal(services.database, now=services.clock())
    except sealing.LedgerBusy as error:
        log.warning("ledger.not_sealed", error=str(error))
        schedule_now(services, MaintenanceName.SEAL)
        return
    if newest is not None and newest != before:
        log.info(
            "ledger.sealed",
            seal=newest.id,
            hash=newest.hash.hex(),
            until=newest.last_entry_id,
            sealed_at=newest.sealed_at.isoformat(),
        )


WALLET = MaintenanceJob(name=MaintenanceName.WALLET, every=lambda settings: settings.wallet_every, run=_read_wallet)
REREAD = MaintenanceJob(name=MaintenanceName.REREAD, every=lambda settings: settings.reread_every, run=_reread)
SEAL = MaintenanceJob(name=MaintenanceName.SEAL, every=lambda settings: settings.seal_every, run=_seal)
