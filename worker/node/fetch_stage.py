"""Messages whose references have to be fetched: kept in the database, and taken by threads of their own.

A host that accepts a connection and stays silent holds up neither the threads that submit and poll nor the broker,
which would deliver the message a second time. A node that works on a message renews its lease; when the node is gone,
another one takes the message over.
"""

import threading
from contextlib import AbstractContextManager
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker.core import tracing
from worker.core.rules.errors import first_line
from worker.engine.services import Services
from worker.intake.queries import messages
from worker.intake.queries.messages import Claimed, ClaimLost
from worker.intake.rules.delivery import ENQUEUE, Delivery
from worker.node import celery_intake
from worker.node.celery_intake import Loads, Terms
from worker.storage.fetch.budget import FetchBudget, FetchNeeded, NothingFetched

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Messages that a node works on at once; each fetches several references at once."""

MOST_TRIES = 5
"""A message at which so many processes ended without a word is refused, lest it ends every node."""

_LOOK_S = 5.0
"""Between two looks for messages of other nodes, and between two renewals of leases, which last much longer."""

_AGAIN = timedelta(seconds=10)
"""After the database or the store was away."""


def received(delivery: Delivery) -> AbstractContextManager[tracing.Span]:
    """Begin the span of taking a message, below the producer's."""
    named: tracing.Attributes = {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.destination.name": delivery.queue,
        "messaging.message.id": delivery.name,
        "messaging.message.body.size": delivery.size_bytes,
    }
    return tracing.begun(f"process {ENQUEUE}", named, kind="consumer", parent=delivery.traceparent)


def take_or_keep(services: Services, delivery: Delivery, loads: Loads) -> None:
    """Write the batch of a message, or keep the message when references have to be fetched for it.

    Raises one of ``foreign.PASSING`` when neither could be done.
    """
    try:
        terms = Terms(budget=NothingFetched(), traceparent=delivery.traceparent)
        celery_intake.take_or_refuse(services, delivery, loads, terms)
    except FetchNeeded:
        _keep(services, delivery)


def _keep(services: Services, delivery: Delivery) -> None:
    with services.database.transaction() as tx:
        messages.keep_waiting(tx, services.account_id, delivery, message_id=services.new_id(), now=services.clock())
    log.info("batch.waits_for_references", message=delivery.name)
    services.message_waits.set()


class FetchStage:
    """The threads of a node that fetch the references of messages, and write their batches."""

    def __init__(self, services: Services, loads: Loads) -> None:
        """Prepare the threads; they are daemons, for their work is taken over when they end."""
        self._services = services
        self._loads = loads
        self._lock = threading.Lock()
        self._running: dict[Claimed, FetchBudget] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-messages", daemon=True)

    def start(self) -> None:
        """Start consuming messages."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no message and no fetch any more, and give back the messages that are worked on."""
        self._ended.set()
        self._services.message_waits.set()
        self._thread.join(timeout=5)
        for claimed, budget in self._now_running().items():
            budget.end()
            self._give_back(claimed, timedelta(0))

    def _run(self) -> None:
        while not self._ended.is_set():
            self._services.message_waits.clear()
            try:
                self._renew()
                self._begin_more()
            except celery_intake.PASSING as error:
                log.warning("messages.database_unreachable", error=first_line(error))
            except Exception:
                log.exception("messages.failed")
            self._services.message_waits.wait(_LOOK_S)

    def _renew(self) -> None:
        running = self._now_running()
        with self._services.database.transaction() as tx:
            kept = messages.renew_claim(tx, running, now=self._services.clock())
        for claimed, budget in running.items():
            if claimed.id not in kept:
                budget.end()

    def _begin_more(self) -> None:
        while len(self._now_running()) < AT_ONCE and not self._ended.is_set():
            with self._services.database.transaction() as tx:
                claimed = messages.claim_waiting(tx, self._services.account_id, now=self._services.clock())
            if claimed is None:
                return
            budget = FetchBudget(self._services.policies.references)
            with self._lock:
                self._running[claimed] = budget
            threading.Thread(target=self._work, args=(claimed, budget), name="darkroom-message", daemon=True).start()

    def _work(self, claimed: Claimed, budget: FetchBudget) -> None:
        delivery = claimed.delivery
        terms = Terms(budget=budget, finish=lambda tx: _finish(tx, claimed, budget), traceparent=delivery.traceparent)
        try:
            with received(delivery):
                self._take(claimed, terms)
        except ClaimLost:
            log.info("batch.left_to_others", message=claimed.delivery.name)
        except celery_intake.PASSING as error:
            log.warning("batch.not_yet_enqueued", message=claimed.delivery.name, error=first_line(error))
            self._give_back(claimed, _AGAIN)
        finally:
            with self._lock:
                del self._running[claimed]
            self._services.message_waits.set()

    def _take(self, claimed: Claimed, terms: Terms) -> None:
        if claimed.tries > MOST_TRIES:
            reason = f"was given up: {MOST_TRIES} processes ended while they worked on it"
            celery_intake.refuse_delivery(self._services, claimed.delivery, self._loads, reason=reason, terms=terms)
        else:
            celery_intake.take_or_refuse(self._services, claimed.delivery, self._loads, terms)

    def _give_back(self, claimed: Claimed, wait: timedelta) -> None:
        """Let any node go on with it; where that cannot be written, its lease ends."""
        try:
            with self._services.database.transaction() as tx:
                messages.give_back_claim(tx, claimed, due_at=self._services.clock() + wait)
        except celery_intake.PASSING as error:
            log.info("message.not_given_back", message=claimed.delivery.name, error=first_line(error))

    def _now_running(self) -> dict[Claimed, FetchBudget]:
        with self._lock:
            return dict(self._running)


def _finish(tx: Connection, claimed: Claimed, budget: FetchBudget) -> None:
    """Remove the message with its outcome; one that was cut short because the claim is gone has none."""
    if budget.is_ended:
        raise ClaimLost
    messages.remove_waiting(tx, claimed)
