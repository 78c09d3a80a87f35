"""Create the paid generation: key and bytes are committed before the first byte is sent."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker.db import calls as call_log
from worker.db import generations, prices, references, steps
from worker.db.session import violated
from worker.db.steps import StaleFence, Ticket, Work
from worker.domain import ledger as moves
from worker.domain import poison
from worker.domain.errors import OutcomeUnknown, ProviderError, Refused
from worker.domain.generation import GenerationState
from worker.domain.step import LEASES, StepKind
from worker.rivya.wire import GenerationView, ReferenceMedia, build_body
from worker.services import Services
from worker.steps import outcomes, unaccepted
from worker.steps.calling import Calls

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a generation at the provider, or where it surely has none, or in doubt."""
    claimed = _claim(services, ticket)
    if claimed is None:
        return
    work, body = claimed
    if services.clock() >= work.lease_until:
        # The process stood still since the claim: another worker has the step now, perhaps past the window.
        return
    calls = Calls(services, work.generation_id)
    try:
        view = calls.create(body=body, idempotency_key=work.idempotency_key, send=work.sends + 1)
    except ProviderError as error:
        unaccepted.record(services, work, calls, error)
        return
    if view.reserved_credits is None and not work.is_in_doubt:
        # A promised field is missing: the answer counts as lost, and the replay is asked for it.
        lost = OutcomeUnknown("reserved_missing", f"the provider took it as {view.id} and named no reserved credits")
        unaccepted.record(services, work, calls, lost)
        return
    _record(services, work, calls, view)


def _claim(services: Services, ticket: Ticket) -> tuple[Work, bytes] | None:
    """Claim the step and commit the exact request; None when it must not be sent now."""
    now = services.clock()
    with services.database.transaction() as tx:
        work = steps.claim(tx, ticket, until=now + LEASES[StepKind.SUBMIT])
        if work is None or outcomes.is_held_up(services, tx, work, reads_only=False):
            return None
        if _is_poisoned(services, tx, work):
            return None
        if work.is_in_doubt:
            call_log.add_lost_send(tx, work.generation_id)
        if _is_too_late(services, work):
            error = OutcomeUnknown("window_closed", "the answer was lost, and the window for sending again is over")
            outcomes.doubt(tx, work, error, services)
            return None
        if work.is_in_doubt and work.sent_binding not in {None, services.binding}:
            # Only the account at the provider that may have made it knows its key.
            steps.again(tx, work, due_at=now + outcomes.ANOTHER_NODE, attempts=work.attempts)
            return None
        body = work.body if work.is_in_doubt else _build(services, tx, work)
        if body is None:
            steps.advance(tx, work, StepKind.UPLOAD, due_at=now, now=now)
            return None
        frozen = generations.begin_send(tx, work.generation_id, body=body, binding=services.binding, now=now)
    return work, frozen


def _is_poisoned(services: Services, tx: Connection, work: Work) -> bool:
    """End the job when its prompt has failed too often and not a byte was sent; True when it was ended."""
    record = work.prompt_record
    if work.sends or record is None or not record.is_poisoned(services.clock()):
        return False
    outcomes.fail_unpaid(tx, work, Refused(poison.CODE, record.words), GenerationState.VOID, services)
    return True


def _is_too_late(services: Services, work: Work) -> bool:
    """Say whether a generation may exist already and its key may be forgotten by the provider."""
    if not work.is_in_doubt or work.first_sent_at is None:
        return False
    return not services.policies.replay.is_open(
        first_sent_at=work.first_sent_at, now=services.clock(), call=LEASES[StepKind.SUBMIT]
    )


def _build(services: Services, tx: Connection, work: Work) -> bytes | None:
    """Make the request's bytes; None when its reference is no longer at the provider."""
    media = None
    if work.reference_hash is not None:
        url = references.fresh_upload(
            tx,
            work.account_id,
            work.reference_hash,
            fresh_after=services.clock() - services.policies.upload_reuse,
        )
        if url is None:
            return None
        media = ReferenceMedia(url=url, name=work.reference_name or "", mime_type=work.reference_type or "")
    return build_body(
        model=work.model,
        prompt=work.prompt,
        params=work.params,
        client_request_id=str(work.generation_id),
        reference=media,
    )


def _record(services: Services, work: Work, calls: Calls, view: GenerationView) -> None:
    """Book what the provider reserved, as answered, and let the first poll be due.

    A replay that names no figure either is booked as what was held; the final figure puts it right (decision 0018).
    """
    now = services.clock()
    reserved = work.held if view.reserved_credits is None else view.reserved_credits
    if view.reserved_credits != work.held:
        log.error(
            "generation.unexpected_price",
            **outcomes.ids(work),
            held=work.held,
            reserved=view.reserved_credits,
        )
    try:
        with services.database.transaction() as tx:
            schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
            first_poll = schedule.wait(age=timedelta(0), polls=0)
            steps.advance(tx, work, StepKind.POLL, due_at=now + first_poll, now=now)
            outcomes.post(tx, work, moves.reserve(held=work.held, answered=reserved), services)
            generations.accept(
                tx,
                work.generation_id,
                provider_id=view.id,
                reserved=reserved,
                request_id=view.request_id,
                now=now,
            )
            calls.write(tx)
            prices.note(tx, account_id=work.account_id, model=work.model, held=work.held, reserved=reserved, now=now)
    except StaleFence:
        log.warning("step.stale_answer", **outcomes.ids(work), step=work.kind, provider_id=view.id)
        calls.write_late()
    except IntegrityError as error:
        if violated(error) != "uq_generation_provider_id":
            raise
        _doubt_reused_id(services, work, calls, view)


def _doubt_reused_id(services: Services, work: Work, calls: Calls, view: GenerationView) -> None:
    """Say that the provider answered with an id that another generation has: whose it is, nobody can tell."""
    error = OutcomeUnknown("provider_id_reused", f"the provider answered with {view.id}, which is taken")
    try:
        with services.database.transaction() as tx:
            outcomes.doubt(tx, work, error, services)
            calls.write(tx)
    except StaleFence:
        log.warning("step.stale_answer", **outcomes.ids(work), step=work.kind, provider_id=view.id)
        calls.write_late()
