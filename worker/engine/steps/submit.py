"""Create the paid generation: key and bytes are committed before the first byte is sent."""

from typing import assert_never

import structlog
from sqlalchemy import Connection

from worker.core.db.statements import StaleFence
from worker.core.rules.errors import ModelUnavailable, OutcomeUnknown, ProviderError, Refused
from worker.core.rules.generation import GenerationState
from worker.core.rules.step import CALL, StepKind
from worker.engine.queries import calls as call_log
from worker.engine.queries import generations, step_moves
from worker.engine.queries.steps import Ticket, Work
from worker.engine.rules import prompt_breaker
from worker.engine.services import Services
from worker.engine.steps import accepted, availability, claiming, outcomes, pacing, unaccepted
from worker.engine.steps.accepted import Accepted
from worker.engine.steps.calling import Calls
from worker.engine.steps.claiming import Obstacle

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a generation at the provider, or where it surely has none, or in doubt."""
    claimed = services.claimed(claiming.claim, ticket)
    if claimed is None:
        return
    work = claimed.work
    if claimed.obstacle is Obstacle.REFUSED:
        unaccepted.look_again(services, work)
    elif claimed.obstacle is not None:
        obstacle = claimed.obstacle
        outcomes.write_alone(services, work, lambda tx: _act_on(tx, services, work, obstacle))
    elif claimed.body is not None:
        _send(services, work, claimed.body)


def _send(services: Services, work: Work, body: bytes) -> None:
    """Create the generation while the lease lasts for the whole call: else another worker may have the step by then."""
    if services.clock() + services.clock_uncertainty() + CALL <= work.lease_until:
        _create(services, work, body)
        return
    log.warning("step.too_late_to_send", **outcomes.ids(work))
    outcomes.write_alone(services, work, lambda tx: _take_back(tx, services, work))


def _take_back(tx: Connection, services: Services, work: Work) -> None:
    step_moves.postpone(tx, work, due_at=services.clock(), attempts=work.attempts)
    generations.note_nothing_created(tx, work.generation_id)


def _act_on(tx: Connection, services: Services, work: Work, obstacle: Obstacle) -> None:
    now = services.clock()
    if work.has_unanswered_send and obstacle is not Obstacle.HELD_UP:
        call_log.add_lost_send(tx, work.generation_id)
    match obstacle:
        case Obstacle.HELD_UP:
            outcomes.hold_up(tx, services, work)
        case Obstacle.MODEL_PAUSED:
            outcomes.give_back_unpaid(tx, work, ModelUnavailable(work.model, "paused"), services)
        case Obstacle.POISONED:
            words = work.prompt_record.words if work.prompt_record else ""
            outcomes.fail_unpaid(tx, work, Refused(prompt_breaker.CODE, words), GenerationState.VOID, services)
        case Obstacle.TOO_LATE:
            error = OutcomeUnknown("window_closed", "the answer was lost, and the window for sending again is over")
            outcomes.doubt(tx, work, error, services)
        case Obstacle.ANOTHER_ACCOUNTS:
            step_moves.postpone(tx, work, due_at=now + outcomes.ANOTHER_NODE, attempts=work.attempts)
        case Obstacle.NOT_UPLOADED:
            step_moves.advance(tx, work, StepKind.UPLOAD, due_at=now, now=now)
        case Obstacle.REFUSED:
            raise ValueError(obstacle)  # whose refusal it is was judged before, under the account's lock
        case _:
            assert_never(obstacle)


def _refused(services: Services, work: Work, calls: Calls, error: ProviderError) -> None:
    try:
        judged = availability.judged(services, work, error)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)
        calls.write_late()
    else:
        unaccepted.record(services, work, calls, judged)


def _create(services: Services, work: Work, body: bytes) -> None:
    calls = Calls(services, work.generation_id)
    try:
        view = calls.create(body=body, idempotency_key=work.idempotency_key, send=work.sends + 1)
    except ProviderError as error:
        _refused(services, work, calls, error)
        return
    if view.reserved_credits is None and not view.unusable and not work.has_unanswered_send:
        # A promised field is missing: the answer counts as lost, and the replay is asked for it. One that is there and
        # is no amount would be the same in the replay (decision 0018).
        lost = OutcomeUnknown("reserved_missing", f"the provider took it as {view.id} and named no reserved credits")
        unaccepted.record(services, work, calls, lost)
    else:
        accepted.record(services, Accepted(work=work, calls=calls, view=view))
    if view.limit_resets_in is not None:
        # After the answer: nothing may keep that from being written.
        pacing.hold_key(services, view.limit_resets_in)
