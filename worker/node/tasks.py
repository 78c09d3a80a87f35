"""The Celery tasks: each takes ids and calls one service."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from celery.exceptions import Reject
from kombu.utils.json import loads

from worker.core.rules.error_words import first_line
from worker.core.rules.step import StepKind
from worker.engine import probe as probing
from worker.engine.queries.steps import Ticket
from worker.engine.rules.upkeep import UpkeepKind
from worker.engine.steps.perform import attempt
from worker.intake.rules.delivery import ENQUEUE, Delivery
from worker.node import celery_intake, fetch_stage, process
from worker.node import upkeep as upkeeping
from worker.node.app import app
from worker.node.broker.guard import DROPPED

log = structlog.get_logger(__name__)


def _perform(kind: StepKind, tickets: Sequence[tuple[str, int, float]]) -> None:
    """Do the steps of a message, each when its slot begins; one that fails does not keep the others from being done."""
    services = process.services()
    for job_id, fence, not_before in tickets:
        ticket = Ticket(job_id=UUID(job_id), kind=kind, fence=fence, not_before=datetime.fromtimestamp(not_before, UTC))
        early = (ticket.not_before - services.clock()).total_seconds()
        if early > 0:
            services.pause(min(early, 1.0))
        attempt(services, ticket)


@app.task(name="darkroom.upload")
def upload_steps(tickets: list[tuple[str, int, float]]) -> None:
    """Give the provider the references of jobs."""
    _perform(StepKind.UPLOAD, tickets)


@app.task(name="darkroom.submit")
def submit_steps(tickets: list[tuple[str, int, float]]) -> None:
    """Create the paid generations of jobs."""
    _perform(StepKind.SUBMIT, tickets)


@app.task(name="darkroom.poll")
def poll_steps(tickets: list[tuple[str, int, float]]) -> None:
    """Ask whether generations have ended, and download the images of those."""
    _perform(StepKind.POLL, tickets)


@app.task(name="darkroom.collect")
def collect_steps(tickets: list[tuple[str, int, float]]) -> None:
    """Download images that could not be downloaded at once."""
    _perform(StepKind.COLLECT, tickets)


@app.task(name="darkroom.probe")
def probe() -> None:
    """Look whether a paused account may go on."""
    probing.run(process.services())


@app.task(name="darkroom.upkeep")
def upkeep(kind: str) -> None:
    """Do what is due every so often."""
    upkeeping.run(process.services(), UpkeepKind(kind))


@app.task(name=DROPPED)
def dropped(delivery: Delivery, reason: str) -> None:
    """Log and count a message that no task here takes."""
    celery_intake.drop(process.services(), delivery, reason)


@app.task(name=ENQUEUE)
def enqueue(delivery: Delivery) -> None:
    """Take a batch from a producer in another repository or language; it is never lost, nor retried for ever."""
    services = process.services()
    try:
        fetch_stage.take_or_keep(services, delivery, loads)
    except celery_intake.PASSING as error:
        # The message is the only copy: it stays in the queue until the database and the store can take it.
        log.warning("batch.not_yet_enqueued", message=delivery.name, error=first_line(error))
        services.pause(1.0)
        raise Reject(requeue=True) from None
