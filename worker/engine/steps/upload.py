"""Give the provider the reference image: once for all jobs that share it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import AccountPaused, ModelUnavailable, ProviderError, Refused, Throttled
from worker.core.rules.states import LEASES, GenerationState, StepKind
from worker.engine.queries import steps
from worker.engine.queries.step_moves import Advance
from worker.engine.queries.steps import Claim, Ticket, Work, WorkReference
from worker.engine.services import Services
from worker.engine.steps import outages, outcomes, scope, transitions
from worker.engine.steps.calling import Calls
from worker.engine.steps.transitions import Transition, write_alone
from worker.provider.wire import UploadedFile
from worker.storage.names import reference_path
from worker.storage.queries import references
from worker.storage.store import NotStored, StoreUnavailable

WAIT_FOR_UPLOADER = timedelta(seconds=10)
"""How long a job waits for another job's upload of the same bytes before it looks again; it is woken earlier."""


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a reference at the provider, or with a later due time, or failed."""
    task = _claim(services, ticket)
    if task is None:
        return
    scope.identify(services, task.work)
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
        wanted = [Claim(ticket=ticket, until=now + LEASES[StepKind.UPLOAD])]
        [work] = steps.claim(tx, wanted, account_id=services.account_id)
        if work is None:
            return None
        decided = _decided(tx, services, work, fresh_after, now)
        if isinstance(decided, Transition):
            transitions.apply(tx, services, [decided])
    if isinstance(decided, Transition):
        transitions.tell(decided)
        return None
    return decided


def _decided(
    tx: Connection, services: Services, work: Work, fresh_after: datetime, now: datetime
) -> _Task | Transition:
    """Lease a reference to upload it; or say what follows when there is none to upload, or others are at it."""
    if outcomes.is_held_up(services, work, now):
        return outcomes.hold_up(services, work)
    if work.is_model_paused:
        return outcomes.void_and_requeue(work, ModelUnavailable(work.model, "paused"))
    missing = [each for each in work.references if not each.is_uploaded(fresh_after=fresh_after)]
    for reference in missing:
        if references.lease_upload(
            tx, work.account_id, reference.sha256, until=work.lease_until, fresh_after=fresh_after, now=now
        ):
            is_last = {each.sha256 for each in missing} == {reference.sha256}
            following = StepKind.SUBMIT if is_last else StepKind.UPLOAD
            return _Task(work=work, reference=reference, following=following)
    if all(references.fresh_upload(tx, work.account_id, each.sha256, fresh_after=fresh_after) for each in missing):
        step = Advance(kind=StepKind.SUBMIT, since=now, due_at=now)
        return Transition(work=work, step=step, then=session.notify)
    return outcomes.postpone(work, due_at=now + WAIT_FOR_UPLOADER)


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

    def send_on(tx: Connection) -> None:
        references.end_upload(tx, work.account_id, sha256, provider_id=uploaded.id, url=uploaded.url, now=now)
        steps.wake_uploads(tx, work.account_id, sha256, kind=StepKind.SUBMIT, now=now)
        session.notify(tx)

    step = Advance(kind=task.following, since=now, due_at=now)
    write_alone(services, work, lambda _: Transition(work=work, step=step, then=send_on), calls)


def _wait_for_store(services: Services, task: _Task, error: StoreUnavailable) -> None:
    work = task.work
    waiting = replace(outages.postpone(services, work, error), then=_ending(services, task))
    if write_alone(services, work, lambda _: waiting) is not None:
        outages.note(services, work, error)


def _ending(services: Services, task: _Task) -> Callable[[Connection], None]:
    """Return what lets other jobs upload the reference."""
    work, sha256 = task.work, task.reference.sha256
    return lambda tx: references.end_upload(
        tx, work.account_id, sha256, provider_id=None, url=None, now=services.clock()
    )


def _record_error(services: Services, task: _Task, calls: Calls, error: ProviderError) -> None:
    work = task.work
    wait = timedelta(0) if isinstance(error, Refused) else outcomes.wait_after(services, work, error)
    end_upload = _ending(services, task)

    def end_and_wake(tx: Connection) -> None:
        if isinstance(error, Refused):
            now = services.clock()
            steps.wake_uploads(tx, work.account_id, task.reference.sha256, kind=StepKind.UPLOAD, now=now)
        end_upload(tx)

    write_alone(services, work, lambda _: replace(_after(services, work, error, wait), then=end_and_wake), calls)


def _after(services: Services, work: Work, error: ProviderError, wait: timedelta) -> Transition:
    """Decide what follows for the job whose reference could not be uploaded."""
    now = services.clock()
    match error:
        case Refused():
            return outcomes.fail_unpaid(work, error, GenerationState.VOID)
        case AccountPaused():
            return outcomes.void_and_requeue(work, error)
        case Throttled():
            return outcomes.postpone(work, due_at=now + wait)
        case _ if retry.is_offered_in_vain(tries=work.attempts + 1, waited=now - work.since):
            return outcomes.fail_unpaid(work, error, GenerationState.VOID)
        case _:
            return outcomes.postpone(work, due_at=now + wait, attempts=1, error=error)
