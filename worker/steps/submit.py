"""Create the paid generation: key and bytes are committed before the first byte is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker.db import calls as call_log
from worker.db import generations, prices, step_moves
from worker.db.generations import Acceptance
from worker.db.session import violated
from worker.db.step_moves import Next
from worker.db.steps import StaleFence, Ticket, Work
from worker.domain import ledger as moves
from worker.domain import poison
from worker.domain.errors import OutcomeUnknown, ProviderError, Refused
from worker.domain.generation import GenerationState
from worker.domain.step import CALL, StepKind
from worker.rivya.wire import GenerationView
from worker.services import Services
from worker.steps import calling, claiming, outcomes, unaccepted
from worker.steps.calling import Calls
from worker.steps.claiming import Obstacle
from worker.steps.outcomes import Booking

log = structlog.get_logger(__name__)


def run(services: Services, ticket: Ticket) -> None:
    """Leave the job with a generation at the provider, or where it surely has none, or in doubt."""
    claimed = services.claim(claiming.claim, ticket)
    if claimed is None:
        return
    work = claimed.work
    if claimed.obstacle is not None:
        _go_around(services, work, claimed.obstacle)
    elif claimed.body is not None and services.clock() + CALL <= work.lease_until:
        _create(services, work, claimed.body)
    # Else the process stood still since the claim: another worker may have the step before the call has ended, perhaps
    # past the window.


def _go_around(services: Services, work: Work, obstacle: Obstacle) -> None:
    try:
        with services.database.transaction() as tx:
            _act_on(tx, services, work, obstacle)
    except StaleFence:
        log.info("step.stale", **outcomes.ids(work), step=work.kind)


def _act_on(tx: Connection, services: Services, work: Work, obstacle: Obstacle) -> None:
    now = services.clock()
    if work.is_in_doubt and obstacle is not Obstacle.HELD_UP:
        call_log.add_lost_send(tx, work.generation_id)
    match obstacle:
        case Obstacle.HELD_UP:
            outcomes.hold_up(tx, services, work)
        case Obstacle.POISONED:
            words = work.prompt_record.words if work.prompt_record else ""
            outcomes.fail_unpaid(tx, work, Refused(poison.CODE, words), GenerationState.VOID, services)
        case Obstacle.TOO_LATE:
            error = OutcomeUnknown("window_closed", "the answer was lost, and the window for sending again is over")
            outcomes.doubt(tx, work, error, services)
        case Obstacle.ANOTHER_ACCOUNTS:
            step_moves.postpone(tx, work, due_at=now + outcomes.ANOTHER_NODE, attempts=work.attempts)
        case Obstacle.NOT_UPLOADED:
            step_moves.advance(tx, work, StepKind.UPLOAD, due_at=now, now=now)
        case _:
            assert_never(obstacle)


def _create(services: Services, work: Work, body: bytes) -> None:
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
    record(services, Accepted(work=work, calls=calls, view=view))


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A request that the provider took."""

    work: Work
    calls: Calls
    view: GenerationView

    @property
    def reserved(self) -> int:
        """What the provider reserved, as answered.

        A replay that names no figure either is booked as what was held; the final figure puts it right (decision 0018).
        """
        return self.work.held if self.view.reserved_credits is None else self.view.reserved_credits

    @property
    def booking(self) -> Booking:
        """What is booked for it."""
        return Booking(work=self.work, movements=moves.reserve(held=self.work.held, answered=self.reserved))

    @property
    def acceptance(self) -> Acceptance:
        """What is recorded of it."""
        return Acceptance(
            generation_id=self.work.generation_id,
            provider_id=self.view.id,
            reserved=self.reserved,
            request_id=self.view.request_id,
        )


def record(services: Services, taken: Accepted) -> None:
    """Book what the provider reserved, and let the first poll be due."""
    work, view = taken.work, taken.view
    if view.reserved_credits != work.held:
        log.error("generation.unexpected_price", **outcomes.ids(work), held=work.held, reserved=view.reserved_credits)
    services.record(
        accept, taken, lambda result: _recorded(services, taken, result), is_alone=not taken.booking.is_plain
    )


def _recorded(services: Services, taken: Accepted, result: Callable[[], None]) -> None:
    work, view = taken.work, taken.view
    try:
        result()
    except StaleFence:
        log.warning("step.stale_answer", **outcomes.ids(work), step=work.kind, provider_id=view.id)
        taken.calls.write_late()
    except IntegrityError as error:
        if violated(error) != "uq_generation_provider_id":
            raise
        _doubt_reused_id(services, work, taken.calls, view)


def accept(tx: Connection, services: Services, taken: Sequence[Accepted]) -> list[None]:
    """Write down what the provider took."""
    now = services.clock()
    outcomes.book(
        tx,
        services,
        {step_moves.ADVANCE: [step_moves.advancing(_first_poll(services, one.work, now)) for one in taken]},
        [one.booking for one in taken],
        {
            generations.ACCEPT: [generations.accepting(one.acceptance, now=now) for one in taken],
            call_log.ADD: calling.rows_of(one.calls for one in taken),
        },
    )
    for one in taken:
        work = one.work
        prices.note(tx, account_id=work.account_id, model=work.model, held=work.held, reserved=one.reserved, now=now)
    return [None] * len(taken)


def _first_poll(services: Services, work: Work, now: datetime) -> Next:
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    due_at = now + schedule.wait(age=timedelta(0), polls=0)
    return Next(work=work, kind=StepKind.POLL, now=now, due_at=due_at)


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
