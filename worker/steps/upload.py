"""Give the provider the reference image: once for all jobs that share it."""

import hashlib
from datetime import datetime, timedelta

import structlog

from worker.db import references, session, step_moves, steps
from worker.db.steps import Claim, StaleFence, Ticket, Work
from worker.domain import retry
from worker.domain.errors import AccountPaused, ProviderError, Refused, Throttled
from worker.domain.generation import GenerationState
from worker.domain.step import LEASES, StepKind
from worker.media.names import reference_path
from worker.media.store import NotStored, StoreUnavailable
from worker.rivya.wire import UploadedFile
from worker.services import Services
from worker.steps import outcomes, store_outage
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)

WAIT_FOR_UPLOADER = timedelta(seconds=10)
"""How long a job waits for another job's upload of the same bytes before it looks again; it is woken earlier."""


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a reference at the provider, or with a later due time, or failed."""
    work = _claim(services, ticket)
    if work is None:
        return
    calls = Calls(services, work.generation_id)
    try:
        uploaded = _upload(services, work, calls)
    except StoreUnavailable as error:
        _wait_for_store(services, work, error)
    except ProviderError as error:
        _record_error(services, work, calls, error)
    else:
        _record(services, work, calls, uploaded)


def _claim(services: Services, ticket: Ticket) -> Work | None:
    """Claim the step and the reference; None when there is nothing to upload, or another job is at it."""
    now = services.clock()
    fresh_after = now - services.policies.upload_reuse
    with services.database.transaction() as tx:
        [work] = steps.claim(tx, [Claim(ticket=ticket, until=now + LEASES[StepKind.UPLOAD])])
        if work is None:
            return None
        if outcomes.is_held_up(services, work, now):
            outcomes.hold_up(tx, services, work)
            return None
        reference = _hash(work)
        if references.lease_upload(
            tx, work.account_id, reference, until=work.lease_until, fresh_after=fresh_after, now=now
        ):
            return work
        if references.fresh_upload(tx, work.account_id, reference, fresh_after=fresh_after):
            step_moves.advance(tx, work, StepKind.SUBMIT, due_at=now, now=now)
            session.notify(tx)
        else:
            step_moves.postpone(tx, work, due_at=now + WAIT_FOR_UPLOADER, attempts=work.attempts)
    return None


def _upload(services: Services, work: Work, calls: Calls) -> UploadedFile:
    try:
        content = services.store.read(reference_path(_hash(work)))
    except NotStored as error:
        raise Refused("reference_missing", f"the store has lost the reference {_hash(work)}") from error
    if hashlib.sha256(content).hexdigest() != _hash(work):
        raise Refused("reference_damaged", f"the store has other bytes than the reference {_hash(work)}")
    return calls.upload(
        content,
        name=work.reference_name or "reference",
        mime_type=work.reference_type or "application/octet-stream",
        model=work.model,
    )


def _record(services: Services, work: Work, calls: Calls, uploaded: UploadedFile) -> None:
    """Keep the URL, and send this job and all that wait for the same bytes on to submit."""
    now = services.clock()
    try:
        with services.database.transaction() as tx:
            step_moves.advance(tx, work, StepKind.SUBMIT, due_at=now, now=now)
            references.end_upload(tx, work.account_id, _hash(work), provider_id=uploaded.id, url=uploaded.url, now=now)
            steps.wake_uploads(tx, work.account_id, _hash(work), kind=StepKind.SUBMIT, now=now)
            session.notify(tx)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()


def _wait_for_store(services: Services, work: Work, error: StoreUnavailable) -> None:
    try:
        with services.database.transaction() as tx:
            store_outage.postpone(tx, services, work, error)
            references.end_upload(tx, work.account_id, _hash(work), provider_id=None, url=None, now=services.clock())
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
    else:
        store_outage.note(services, work, error)


def _record_error(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    now = services.clock()
    try:
        with services.database.transaction() as tx:
            match error:
                case Refused():
                    outcomes.fail_unpaid(tx, work, error, GenerationState.VOID, services)
                    steps.wake_uploads(tx, work.account_id, _hash(work), kind=StepKind.UPLOAD, now=now)
                case AccountPaused():
                    outcomes.give_back_unpaid(tx, work, error, services)
                case Throttled():
                    step_moves.postpone(tx, work, due_at=now + wait, attempts=work.attempts)
                case _ if _is_hopeless(work, now):
                    outcomes.fail_unpaid(tx, work, error, GenerationState.VOID, services)
                case _:
                    step_moves.postpone(tx, work, due_at=now + wait, attempts=work.attempts + 1, error=error)
            references.end_upload(tx, work.account_id, _hash(work), provider_id=None, url=None, now=now)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()


def _is_hopeless(work: Work, now: datetime) -> bool:
    """Say whether the reference was offered often enough, and for long enough."""
    return work.attempts + 1 >= retry.UPLOAD_TRIES and now >= work.since + retry.UPLOAD_PATIENCE


def _hash(work: Work) -> str:
    assert work.reference_hash is not None
    return work.reference_hash
