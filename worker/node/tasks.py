"""The Celery tasks: each takes ids and calls one service."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery.exceptions import Reject
from kombu.utils.json import loads

from worker.core import tracing
from worker.core.rules.errors import first_line
from worker.core.rules.states import StepKind
from worker.engine import checks as probing
from worker.engine.queries import step_moves
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.engine.steps.perform import attempt
from worker.intake.rules.delivery import ENQUEUE, Delivery
from worker.node import celery_intake, fetch_stage, process
from worker.node.app import app
from worker.node.broker.guard import DROPPED
from worker.node.maintenance import run as run_maintenance

log = structlog.get_logger(__name__)


AGAIN = timedelta(seconds=1)
"""How soon steps are handed out again that met an account with all its threads busy."""


def _perform(kind: StepKind, message: Sequence[tuple[str, int, float]], account: str | None) -> None:
    """Do the steps of a message, unless all threads of its account are busy: then another node may, or this one soon.

    Those of an account that this node does not serve come due again when their lease ends.
    """
    services = process.services_of(account)
    if services is None:
        log.warning("message.of_another_account", step=kind, account=account)
        return
    tickets = [
        Ticket(job_id=UUID(job_id), kind=kind, fence=fence, not_before=datetime.fromtimestamp(not_before, UTC))
        for job_id, fence, not_before in message
    ]
    with process.account_threads.taken(services.account_id) as is_free:
        if is_free:
            _attempt(services, tickets)
            return
    with services.database.transaction() as tx:
        step_moves.give_back(tx, tickets, due_at=services.clock() + AGAIN)


def _attempt(services: Services, tickets: Sequence[Ticket]) -> None:
    """Do each step when its slot begins; one that fails does not keep the others from being done."""
    for ticket in tickets:
        early = (ticket.not_before - services.clock()).total_seconds()
        if early > 0:
            services.pause(min(early, 1.0))
        attempt(services, ticket)


def _step_task(kind: StepKind) -> Any:
    @app.task(name=f"darkroom.{kind}")
    def do_steps(tickets: list[tuple[str, int, float]], account: str | None = None) -> None:
        _perform(kind, tickets, account)

    return do_steps


STEP_TASKS = {kind: _step_task(kind) for kind in StepKind}


@app.task(name="darkroom.probe")
def probe(account: str | None = None) -> None:
    """Probe whether a paused account may resume."""
    if services := process.services_of(account):
        with tracing.begun("probe"):
            probing.check_account(services)


@app.task(name="darkroom.maintenance")
def maintenance(name: str, account: str | None = None) -> None:
    """Do what is due every so often."""
    if services := process.services_of(account):
        with tracing.begun(f"maintenance {name}"):
            run_maintenance(services, name)


@app.task(name=DROPPED)
def dropped(delivery: Delivery, reason: str) -> None:
    """Log and count a message that no task here takes."""
    celery_intake.drop(process.services(), delivery, reason)


@app.task(name=ENQUEUE)
def enqueue(delivery: Delivery) -> None:
    """Take a batch from a producer in another repository or language; it is never lost, nor retried for ever."""
    services = process.services()
    try:
        with fetch_stage.received(delivery):
            fetch_stage.take_or_keep(services, delivery, loads)
    except celery_intake.PASSING as error:
        # The message is the only copy: it stays in the queue until the database and the store can take it.
        log.warning("batch.not_yet_enqueued", message=delivery.name, error=first_line(error))
        services.pause(1.0)
        raise Reject(requeue=True) from None
