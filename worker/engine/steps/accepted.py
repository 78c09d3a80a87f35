"""What is booked when the provider takes a create: its id, and the credits that it reserved, as answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker.core.db.session import violated
from worker.core.db.statements import StaleFence
from worker.core.rules.errors import OutcomeUnknown
from worker.core.rules.step import StepKind
from worker.engine.queries import calls as call_log
from worker.engine.queries import generations, step_moves
from worker.engine.queries.generations import Acceptance
from worker.engine.queries.step_moves import Advance
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import calling, crashes, outcomes, provider_health
from worker.engine.steps.calling import Calls
from worker.engine.steps.outcomes import Booking
from worker.ledger.queries import prices
from worker.ledger.rules import entries as moves
from worker.provider.wire import GenerationView

log = structlog.get_logger(__name__)


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
        log.error(
            "generation.unexpected_price",
            **outcomes.ids(work),
            held=work.held,
            reserved=view.reserved_credits,
            unusable=view.unusable,
        )
    services.record(
        accept,
        taken,
        lambda result: crashes.of_work(services, work, lambda: _recorded(services, taken, result)),
        is_alone=not taken.booking.is_plain,
    )


def _recorded(services: Services, taken: Accepted, result: Callable[[], None]) -> None:
    work, view = taken.work, taken.view
    try:
        result()
        provider_health.accepted(services, work)
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


def _first_poll(services: Services, work: Work, now: datetime) -> Advance:
    schedule = services.latencies.schedule(work.model, has_reference=work.reference_hash is not None)
    due_at = now + schedule.wait(age=timedelta(0), polls=0)
    return Advance(work=work, kind=StepKind.POLL, now=now, due_at=due_at)


def _doubt_reused_id(services: Services, work: Work, calls: Calls, view: GenerationView) -> None:
    """Put the generation in doubt: the provider answered with the id of another generation."""
    error = OutcomeUnknown(
        "provider_id_reused", f"the provider answered with {view.id}, which belongs to another generation"
    )
    try:
        with services.database.transaction() as tx:
            outcomes.doubt(tx, work, error, services)
            calls.write(tx)
    except StaleFence:
        log.warning("step.stale_answer", **outcomes.ids(work), step=work.kind, provider_id=view.id)
        calls.write_late()
    else:
        provider_health.lost(services, work, error)
