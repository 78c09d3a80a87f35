"""Give the provider the reference image: once for all jobs that share it."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import structlog

from worker.core.db import session
from worker.core.db.statements import StaleFence
from worker.core.rules import retry
from worker.core.rules.errors import AccountPaused, ModelUnavailable, ProviderError, Refused, Throttled
from worker.core.rules.generation import GenerationState
from worker.core.rules.step import LEASES, StepKind
from worker.engine.queries import step_moves, steps
from worker.engine.queries.steps import Claim, Ticket, Work, WorkReference
from worker.engine.services import Services
from worker.engine.steps import outcomes, store_outage
from worker.engine.steps.calling import Calls
from worker.provider.wire import UploadedFile
from worker.storage.names import reference_path
from worker.storage.queries import references
from worker.storage.store import NotStored, StoreUnavailable

log = structlog.get_logger(__name__)

WAIT_FOR_UPLOADER = timedelta(seconds=10)
"""How long a job waits for another job's upload of the same bytes before it looks again; it is woken earlier."""


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a reference at the provider, or with a later due time, or failed."""
    task = _claim(services, ticket)
    if task is None:
        return
    calls = Calls(services, task.work.generation_id)
    try:
        uploaded = _upload(services, task, calls)
    except StoreUnavailable as error:
        _wait_for_store(services, task, error)
    except ProviderError as error:
        _record_error(services, task, calls, error)
    else:
        _record(services, task, calls, uploaded)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """The one reference of a job that this step uploads; the step comes again for the next."""

    work: Work
    reference: WorkReference
    following: StepKind
    """What the job does when it is uploaded."""


def _claim(services: Services, ticket: Ticket) -> _Task | None:
    """Claim the step and a reference; None when there is nothing to upload, or other jobs are at it."""
    now = services.clock()
    fresh_after = now - services.policies.upload_reuse
    with services.database.transaction() as tx:
        [work] = steps.claim(tx, [Claim(ticket=ticket, until=now + LEASES[StepKind.UPLOAD])])
        if work is None:
            return None
        if outcomes.is_held_up(services, work, now):
            outcomes.hold_up(tx, services, work)
            return None
        if work.is_model_paused:
            outcomes.give_back_unpaid(tx, work, ModelUnavailable(work.model, "paused"), services)
            return None
        missing = [each for each in work.references if not each.is_uploaded(fresh_after=fresh_after)]
        for reference in missing:
            if references.lease_upload(
                tx, work.account_id, reference.sha256, until=work.lease_until, fresh_after=fresh_after, now=now
            ):
                is_last = {each.sha256 for each in missing} == {reference.sha256}
                following = StepKind.SUBMIT if is_last else StepKind.UPLOAD
                return _Task(work=work, reference=reference, following=following)
        if all(references.fresh_upload(tx, work.account_id, each.sha256, fresh_after=fresh_after) for each in missing):
            step_moves.advance(tx, work, StepKind.SUBMIT, due_at=now, now=now)
            session.notify(tx)
        else:
            step_moves.postpone(tx, work, due_at=now + WAIT_FOR_UPLOADER, attempts=work.attempts)
    return None


def _upload(services: Services, task: _Task, calls: Calls) -> UploadedFile:
    reference = task.reference
    try:
        content = services.store.read(reference_path(reference.sha256))
    except NotStored as error:
        raise Refused("reference_missing", f"the store has lost the reference {reference.sha256}") from error
    if hashlib.sha256(content).hexdigest() != reference.sha256:
        raise Refused("reference_damaged", f"the store has other bytes than the reference {reference.sha256}")
    return calls.upload(
        content,
        name=reference.name or "reference",
        mime_type=reference.mime_type,
        model=task.work.model,
    )


def _record(services: Services, task: _Task, calls: Calls, uploaded: UploadedFile) -> None:
    """Keep the URL, and send this job and all that wait for the same bytes on."""
    now, work, sha256 = services.clock(), task.work, task.reference.sha256
    try:
        with services.database.transaction() as tx:
            step_moves.advance(tx, work, task.following, due_at=now, now=now)
            references.end_upload(tx, work.account_id, sha256, provider_id=uploaded.id, url=uploaded.url, now=now)
            steps.wake_uploads(tx, work.account_id, sha256, kind=StepKind.SUBMIT, now=now)
            session.notify(tx)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()


def _wait_for_store(services: Services, task: _Task, error: StoreUnavailable) -> None:
    work, now = task.work, services.clock()
    try:
        with services.database.transaction() as tx:
            store_outage.postpone(tx, services, work, error)
            references.end_upload(tx, work.account_id, task.reference.sha256, provider_id=None, url=None, now=now)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
    else:
        store_outage.note(services, work, error)


def _record_error(services: Services, task: _Task, calls: Calls, error: ProviderError) -> None:
    work, sha256 = task.work, task.reference.sha256
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    now = services.clock()
    try:
        with services.database.transaction() as tx:
            match error:
                case Refused():
                    outcomes.fail_unpaid(tx, work, error, GenerationState.VOID, services)
                    steps.wake_uploads(tx, work.account_id, sha256, kind=StepKind.UPLOAD, now=now)
                case AccountPaused():
                    outcomes.give_back_unpaid(tx, work, error, services)
                case Throttled():
                    step_moves.postpone(tx, work, due_at=now + wait, attempts=work.attempts)
                case _ if retry.is_offered_in_vain(tries=work.attempts + 1, waited=now - work.since):
                    outcomes.fail_unpaid(tx, work, error, GenerationState.VOID, services)
                case _:
                    step_moves.postpone(tx, work, due_at=now + wait, attempts=work.attempts + 1, error=error)
            references.end_upload(tx, work.account_id, sha256, provider_id=None, url=None, now=now)
            calls.write(tx)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
