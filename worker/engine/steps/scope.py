"""What a step is named by in spans and in every line of the log that is written within it."""

from collections.abc import Callable
from contextvars import copy_context

from structlog.contextvars import bind_contextvars

from worker.core import tracing
from worker.core.rules.states import StepKind
from worker.engine.queries import batches
from worker.engine.queries.steps import Ticket, Work
from worker.engine.services import Services


def of_ticket(services: Services, ticket: Ticket, do: Callable[[], None]) -> None:
    """Run a ticket in its own span and logging context."""
    copy_context().run(_of_ticket, services, ticket, do)


def of_work(services: Services, work: Work, kind: StepKind, do: Callable[[], None]) -> None:
    """Do a step that this process has claimed, in a span below that of the step which led to it."""
    copy_context().run(_of_work, services, work, kind, do)


def identify(services: Services, work: Work) -> None:
    """Name the work that was claimed, and link its span to the producer's: a batch lasts for days, a trace does not."""
    ids = {"batch": str(work.batch_id), "account": str(work.account_id), "generation": str(work.generation_id)}
    bind_contextvars(job=str(work.job_id), key=work.key, **ids)
    if tracing.is_on():
        named = {f"darkroom.{name}.id": value for name, value in ids.items()}
        tracing.note({"darkroom.job.id": str(work.job_id), **named}, link=_producer(services, work))


def _of_ticket(services: Services, ticket: Ticket, do: Callable[[], None]) -> None:
    job, account = str(ticket.job_id), str(services.account_id)
    bind_contextvars(job=job, account=account, step=ticket.kind.value)
    named = {"darkroom.step": ticket.kind.value, "darkroom.job.id": job, "darkroom.account.id": account}
    with tracing.begun(f"step {ticket.kind}", named):
        do()


def _of_work(services: Services, work: Work, kind: StepKind, do: Callable[[], None]) -> None:
    bind_contextvars(step=kind.value)
    with tracing.begun(f"{kind} image", {"darkroom.step": kind.value}):
        identify(services, work)
        do()


def _producer(services: Services, work: Work) -> str | None:
    """Return the producer's span, read once for each batch: it never changes."""
    known = services.producers
    if work.batch_id not in known:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        with services.database.transaction() as tx:
            known[work.batch_id] = batches.traceparent(tx, work.batch_id)
    return known[work.batch_id]


_MOST_KNOWN = 1_000
"""Batches whose producer's span is remembered."""
