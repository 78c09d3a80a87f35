"""How a ticket becomes a message: a lost one costs a lease, a doubled one is stale."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from celery import Celery

from worker.engine.queries.steps import Ticket
from worker.engine.rules.upkeep import UpkeepKind

MOST_IN_A_MESSAGE = 8
"""A thread does the steps of a message one after the other, so it must not have too many."""


def publish(app: Celery, tickets: Sequence[Ticket], *, producer: Any = None, timeout_s: float = 10.0) -> None:
    """Send tickets of one kind, in one message, to the queue of that kind; raises the broker's errors."""
    name = f"darkroom.{tickets[0].kind}"
    app.send_task(
        name,
        args=([(str(t.job_id), t.fence, t.not_before.timestamp()) for t in tickets],),
        queue=name,
        producer=producer,
        ignore_result=True,
        delivery_mode="transient",
        # A broker that confirms nothing would be waited for without an end.
        confirm_timeout=timeout_s,
    )


def bundles(tickets: Sequence[Ticket], *, threads: int) -> Iterator[list[Ticket]]:
    """Put tickets that follow one another and are of one kind into one message, once there are more than free threads.

    A message costs as much as the step that it carries; while there are threads free each step has its own.
    """
    most = min(-(-len(tickets) // threads), MOST_IN_A_MESSAGE)
    for _, group in groupby(tickets, key=lambda ticket: ticket.kind):
        alike = list(group)
        for start in range(0, len(alike), most):
            yield alike[start : start + most]


def publish_probe(app: Celery, *, producer: Any = None, timeout_s: float = 10.0) -> None:
    """Ask any worker to look whether the account may go on."""
    app.send_task(
        "darkroom.probe", queue="darkroom.probe", producer=producer, ignore_result=True, confirm_timeout=timeout_s
    )


def publish_upkeep(app: Celery, kind: UpkeepKind, *, producer: Any = None, timeout_s: float = 10.0) -> None:
    """Ask any worker to do what is due every so often; a lost message waits for the next time."""
    app.send_task(
        "darkroom.upkeep",
        args=(kind.value,),
        queue="darkroom.upkeep",
        producer=producer,
        ignore_result=True,
        delivery_mode="transient",
        confirm_timeout=timeout_s,
    )
