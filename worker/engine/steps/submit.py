"""Create the paid generation, and record its acceptance. Key and bytes are committed before the first byte is sent."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker.core.db.session import violated
from worker.core.db.statements import StaleFence
from worker.core.rules.errors import ModelUnavailable, OutcomeUnknown, ProviderError, Refused
from worker.core.rules.states import CALL_TIMEOUT, GenerationState, StepKind
from worker.engine.queries import calls as call_log
from worker.engine.queries.generations import Acceptance, NothingCreated
from worker.engine.queries.step_moves import Advance
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import give_up
from worker.engine.services import Services
from worker.engine.steps import (
    availability,
    calling,
    claiming,
    crashes,
    outcomes,
    provider_health,
    scope,
    transitions,
    unaccepted,
)
from worker.engine.steps.calling import Calls
from worker.engine.steps.claiming import Obstacle
from worker.engine.steps.transitions import Transition, write_alone
from worker.ledger.queries import budgets
from worker.ledger.rules import entries as moves
from worker.provider.wire import GenerationView

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a generation at the provider, or where it surely has none, or in doubt."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is None:
        return
    work = claimed.work
    scope.identify(services, work)
    if claimed.obstacle is Obstacle.REFUSED:
        unaccepted.look_again(services, work)
    elif claimed.obstacle is not None:
        obstacle = claimed.obstacle
        write_alone(services, work, lambda tx: _act_on(tx, services, work, obstacle))
    elif claimed.body is not None:
        log.debug("generation.sending", **transitions.ids(work), send=work.sends + 1)
        _send(services, work, claimed.body)


def _send(services: Services, work: Work, body: bytes) -> None:
    """Create the generation while the lease lasts for the whole call: else another worker may have the step by then."""
    if services.clock() + services.clock_uncertainty() + CALL_TIMEOUT <= work.lease_until:
        _create(services, work, body)
        return
    log.warning("step.too_late_to_send", **transitions.ids(work))
    not_sent = outcomes.postpone(work, due_at=services.clock())
    write_alone(services, work, lambda _: replace(not_sent, generation=NothingCreated()))


def _act_on(tx: Connection, services: Services, work: Work, obstacle: Obstacle) -> Transition:
    now = services.clock()
    if work.has_unanswered_send and obstacle is not Obstacle.HELD_UP:
        call_log.add_lost_send(tx, work.generation_id)
    match obstacle:
        case Obstacle.HELD_UP:
            return outcomes.hold_up(services, work)
        case Obstacle.MODEL_PAUSED:
            return outcomes.void_and_requeue(work, ModelUnavailable(work.model, "paused"))
        case Obstacle.PROMPT_BREAKER:
            words = work.prompt_record.words if work.prompt_record else ""
            return outcomes.fail_unpaid(work, Refused(give_up.PROMPT_BREAKER_OPEN, words), GenerationState.VOID)
        case Obstacle.TOO_LATE:
            error = OutcomeUnknown("window_closed", "the answer was lost, and the idempotency window has passed")
            return outcomes.doubt(work, error)
        case Obstacle.ANOTHER_ACCOUNTS:
            return outcomes.postpone(work, due_at=now + outcomes.ANOTHER_NODE)
        case Obstacle.NOT_UPLOADED:
            return Transition(work=work, step=Advance(kind=StepKind.UPLOAD, since=now, due_at=now))
        case Obstacle.REFUSED:
            raise ValueError(obstacle)  # whose refusal it is was judged before, under the account's lock
        case _:
            assert_never(obstacle)


def _refused(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    judged = transitions.unless_stale(work, calls, lambda: availability.checked_refusal(services, work, error))
    if judged is not None:
        unaccepted.record(services, work, calls, judged)


def _create(services: Services, work: Work, body: bytes) -> None:
    calls, sent_at = Calls(services, work.generation_id), services.clock()
    if work.generation_number == 1 and work.sends == 0:
        services.meters.queued(sent_at - _submitted_at(work.job_id))
    try:
        view = calls.create(body=body, idempotency_key=work.idempotency_key, send=work.sends + 1)
    except ProviderError as error:
        # The step was read before its first send was counted; whose fault a refusal is depends on when it was sent.
        _refused(services, replace(work, first_sent_at=work.first_sent_at or sent_at), calls, error)
        return
    if view.reserved_credits is None and not view.unusable and not work.has_unanswered_send:
        # A promised field is missing: the answer counts as lost, and the replay is asked for it. One that is there and
        # is no amount would be the same in the replay (decision 0018).
        lost = OutcomeUnknown("reserved_missing", f"the provider took it as {view.id} and named no reserved credits")
        unaccepted.record(services, work, calls, lost)
    else:
        record(services, Accepted(work=work, calls=calls, view=view))
    # After the answer: nothing may keep that from being written.
    calling.heed_limit(services, view.limit_resets_in, sent_at=sent_at)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A request that the provider took."""

    work: Work
    calls: Calls
    view: GenerationView

    @property
    def reserved(self) -> int:
        """What the provider reserved, as answered.

        A figure that is no amount, or that a replay does not name either, is booked as what was held; the final figure
        puts it right (decision 0018).
        """
        return self.work.held if self.view.reserved_credits is None else self.view.reserved_credits


def record(services: Services, taken: Accepted) -> None:
    """Book what the provider reserved, and let the first poll be due."""
    work, view = taken.work, taken.view
    if view.reserved_credits != work.held:
        log.error(
            "generation.unexpected_price",
            **transitions.ids(work),
            held=work.held,
            reserved=view.reserved_credits,
            unusable=view.unusable,
        )
    transitions.apply_together(
        services,
        work,
        _accepting(services, taken),
        lambda result: crashes.of_work(services, work, lambda: _recorded(services, taken, result)),
    )


def _accepting(services: Services, taken: Accepted) -> Transition:
    work, view, now = taken.work, taken.view, services.clock()
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    due_at = now + schedule.wait(age=timedelta(0), polls=0)

    def note_price(tx: Connection) -> None:
        reserved = taken.reserved
        budgets.note_price(tx, account_id=work.account_id, model=work.model, held=work.held, reserved=reserved, now=now)

    return Transition(
        work=work,
        step=Advance(kind=StepKind.POLL, since=now, due_at=due_at),
        generation=Acceptance(provider_id=view.id, reserved=taken.reserved, request_id=view.request_id),
        movements=moves.reserve(held=work.held, answered=taken.reserved),
        calls=taken.calls,
        then=None if taken.reserved == work.held else note_price,
    )


def _recorded(services: Services, taken: Accepted, result: Callable[[], Transition]) -> None:
    work, view = taken.work, taken.view
    try:
        result()
        provider_health.accepted(services, work)
    except StaleFence:
        log.warning("step.stale_answer", **transitions.ids(work), step=work.kind, provider_id=view.id)
        taken.calls.write_late()
    except IntegrityError as error:
        if violated(error) != "uq_generation_provider_id":
            raise
        _doubt_reused_id(services, work, taken.calls, view)


def _doubt_reused_id(services: Services, work: Work, calls: Calls, view: GenerationView) -> None:
    """Put the generation in doubt: the provider answered with the id of another generation."""
    error = OutcomeUnknown(
        "provider_id_reused", f"the provider answered with {view.id}, which belongs to another generation"
    )
    if write_alone(services, work, lambda _: outcomes.doubt(work, error), calls) is not None:
        provider_health.lost(services, work, error)


def _submitted_at(job_id: UUID) -> datetime:
    """Return when a job was written, to a millisecond: its id is a UUIDv7, made by the database's clock."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1000, UTC)
