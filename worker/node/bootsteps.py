"""The dispatcher as a thread of every worker node: started with the worker, stopped before its pool.

The threads that download images, and those that fetch the references of messages, end with it.
"""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
import structlog
from celery import Celery, bootsteps
from kombu import pools
from kombu.exceptions import OperationalError as BrokerError
from kombu.utils.json import loads
from sqlalchemy.exc import DBAPIError

from worker import settings, wiring
from worker.accounts.binding import OtherKey, OtherProvider
from worker.core.db.clock import uptime
from worker.core.db.listening import Listener, Listening
from worker.core.db.schema import WrongSchema
from worker.core.rules.errors import first_line
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.intake.rules import delivery
from worker.node import process
from worker.node.consumer_watchdog import ConsumerWatchdog, threads
from worker.node.fetch_stage import FetchStage
from worker.node.heartbeat import Heartbeat, StallWatch
from worker.node.metrics import MetricsServer, ReadinessProbe
from worker.node.process import SPARE_THREADS
from worker.node.unread_queues import UnreadQueues
from worker.settings import Settings
from worker.wiring import NotConfigured

log = structlog.get_logger(__name__)
_TROUBLE_WAIT_S = 1.0
_MISCONFIGURED = 2
_WITHOUT_DATABASE = 1


class Dispatcher(bootsteps.StartStopStep):
    """Runs rounds of dispatch until the worker begins to stop."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Celery hands the worker in."""
        self._loops: list[Loop] = []
        self._messages: list[FetchStage] = []
        self._unread: UnreadQueues | None = None
        self._probe: ReadinessProbe | None = None

    def start(self, parent: Any) -> None:
        """Start the threads."""
        chosen, (first, *others) = settings.load(), _services()
        most = parent.app.conf.worker_concurrency
        _leave_to_others(parent.app, chosen, {each.account for each in (first, *others)})
        process.account_threads.bound(max(1, most // (1 + len(others)) - SPARE_THREADS) if others else None)
        heartbeat, ear = Heartbeat(first, wiring.clock, others=others), ConsumerWatchdog(parent.app, parent.hub)
        self._unread = UnreadQueues(parent.app)
        self._unread.start()
        # A dispatcher for each account: it publishes in the rhythm of the account's slots, and may wait for its row.
        self._loops = [Loop(parent.app, each, heartbeat, ear, chosen) for each in (first, *others)]
        for loop in self._loops:
            loop.start()
        self._probe = ReadinessProbe(first, heartbeat, threads, concurrency=most, others=others)
        _serve_metrics(chosen, self._probe, most=most)
        self._messages = [FetchStage(each, loads) for each in (first, *others)]
        for stage in self._messages:
            stage.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop dispatching, and return when running downloads have ended; other work continues."""
        if self._loops:
            self._end_dispatch()
            for each in process.services_of_each().values():
                each.collectors.end()
            for each in process.services_of_each().values():
                each.collectors.drain()
            process.services().senders.drain()

    def terminate(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop handing out work, and begin nothing more."""
        if self._loops:
            self._end_dispatch()
            for each in process.services_of_each().values():
                each.collectors.end()

    def _end_dispatch(self) -> None:
        if self._probe is not None:
            self._probe.drain()
        if self._unread is not None:
            self._unread.stop()
        for loop in self._loops:
            loop.end()
        for loop in self._loops:
            loop.join()
        for stage in self._messages:
            stage.stop()
        process.services().senders.end()


def _leave_to_others(app: Celery, chosen: Settings, served: set[str]) -> None:
    """Read no queues of accounts that have a key here and yet may not be served; the consumer has not started yet."""
    for each in chosen.served:
        if each.account not in served:
            app.amqp.queues.deselect([delivery.queue_of(task, each.account) for task in delivery.OF_ACCOUNTS])


def _serve_metrics(chosen: Settings, probe: ReadinessProbe, *, most: int) -> None:
    if chosen.node_metrics is not None:
        meters = process.meters()
        meters.watch_threads(busy=lambda: threads.busy, most=most)
        MetricsServer(chosen.node_metrics, meters.registry, probe.ready).start()


def _services() -> list[Services]:
    """Return what this node has for each account; end it with a sentence when that cannot be put together."""
    try:
        return list(process.services_of_each().values())
    except (NotConfigured, OtherProvider, OtherKey, WrongSchema) as error:
        log.critical("node.not_configured", reason=str(error))
        raise SystemExit(_MISCONFIGURED) from None
    except DBAPIError as error:
        log.critical("node.database_unreachable", reason=first_line(error.orig))
        raise SystemExit(_WITHOUT_DATABASE) from None


def _uptime() -> datetime:
    """Return an instant for durations, which no clock that is set can change."""
    return datetime.min.replace(tzinfo=UTC) + timedelta(seconds=uptime())


class Loop:
    """The dispatcher's loop: decide, publish at the slots' times, wait for the next reason to run."""

    def __init__(
        self, app: Celery, services: Services, heartbeat: Heartbeat, ear: ConsumerWatchdog, chosen: Settings
    ) -> None:
        """Prepare the thread; it is a daemon, for its work may be lost at any instant without harm."""
        self._app = app
        self._services = services
        self._ear = ear
        self._listening = Listening(services.database, chosen.database_direct_url)
        self._broker_s = chosen.broker_timeout.total_seconds()
        # Longer than any single wait of a round: some statements and some messages, one after the other.
        stalled_s = 2 * chosen.database_timeout.total_seconds() + 5 * self._broker_s + 15
        self._watch = StallWatch("dispatcher", after_s=stalled_s)
        self._heartbeat = heartbeat
        known = app.connection_for_write().connection_errors
        self._broker_errors: tuple[type[BaseException], ...] = (BrokerError, OSError, *known)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-dispatcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._watch.start()
        self._thread.start()

    def end(self) -> None:
        """Begin no further round."""
        self._ended.set()

    def join(self) -> None:
        """Wait for the round that is under way, a second or two."""
        self._thread.join(timeout=5)

    def _run(self) -> None:
        log.info("dispatcher.started", account=self._services.account)
        while not self._ended.is_set():
            try:
                with self._listening.opened() as listener:
                    while not self._ended.is_set():
                        self._watch.progress()
                        listener.check()
                        self._heartbeat.beat()
                        self._round(listener)
            except (DBAPIError, psycopg.Error) as error:
                log.warning("dispatcher.database_error", error=first_line(error))
                self._failed(error)
            except self._broker_errors as error:
                log.warning("dispatcher.broker_unreachable", error=str(error) or type(error).__name__)
                self._drop_broker_connections()
                self._failed(error)
            except Exception as error:
                log.exception("dispatcher.failed")
                self._failed(error)
            self._watch.progress()
        self._watch.stop()
        self._heartbeat.end(self._services.account_id)
        log.info("dispatcher.stopped", account=self._services.account)

    def _failed(self, error: BaseException) -> None:
        self._heartbeat.round_failed(error, self._services.account_id)
        self._ended.wait(_TROUBLE_WAIT_S)

    def _drop_broker_connections(self) -> None:
        """Begin with new ones: a connection that was given up in the middle may get the answer to something else."""
        pools.reset()
        # What Celery itself does after a fork: the next use makes new pools.
        app: Any = self._app
        app._pool = None  # noqa: SLF001
        app.amqp._producer_pool = None  # noqa: SLF001

    def _round(self, listener: Listener) -> None:
        if process.account_threads.idle(self._services.account_id) == 0:
            # All that it may have are busy: what a round found would only be given back. Other nodes may have some.
            self._heartbeat.round_completed(self._services.account_id)
            self._ended.wait(dispatch.GATHER_WHILE_BUSY.total_seconds())
            return
        decided = dispatch.run(self._services)
        if decided.is_replaced:
            step = "give all nodes one key, and start this one again"
            log.error("node.key_replaced", account=self._services.account, next_step=step)
            self._ended.wait(dispatch.REPLACED_WAIT.total_seconds())
            return
        self._services.latencies.share(self._services.database, self._services.clock())
        self._publish(decided)
        self._heartbeat.round_completed(self._services.account_id)
        self._ear.look(_uptime())
        wait = decided.wait(self._services.clock(), is_busy=self._idle_threads() <= 0).total_seconds()
        if not self._ended.is_set():
            listener.wait(wait)

    def _publish(self, decided: dispatch.Round) -> None:
        """Send each ticket when its slot begins."""
        account = self._services.account
        with self._app.producer_pool.acquire(block=True, timeout=10) as producer:
            for tickets in bundles(decided.tickets, threads=max(1, self._idle_threads())):
                early = (tickets[0].not_before - self._services.clock()).total_seconds()
                if early > 0:
                    # Slots lie within the horizon, unless the database's clock was set back since the round.
                    self._services.pause(min(early, 1.0))
                publish(self._app, tickets, account=account, producer=producer, timeout_s=self._broker_s)
            if decided.is_probe_due:
                publish_probe(self._app, account=account, producer=producer, timeout_s=self._broker_s)
            for name in decided.maintenance:
                publish_maintenance(self._app, name, account=account, producer=producer, timeout_s=self._broker_s)

    def _idle_threads(self) -> int:
        concurrency: int = self._app.conf.worker_concurrency
        own = process.account_threads.idle(self._services.account_id)
        return concurrency - threads.busy if own is None else own


MOST_IN_A_MESSAGE = 8
"""A thread does the steps of a message one after the other, so it must not have too many."""


def publish(
    app: Celery,
    tickets: Sequence[Ticket],
    *,
    account: str = delivery.DEFAULT_ACCOUNT,
    producer: Any = None,
    timeout_s: float = 10.0,
) -> None:
    """Send tickets of one kind, in one message, to the account's queue of that kind; raises the broker's errors."""
    name = f"darkroom.{tickets[0].kind}"
    app.send_task(
        name,
        args=([(str(t.job_id), t.fence, t.not_before.timestamp()) for t in tickets],),
        queue=delivery.queue_of(name, account),
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


def publish_probe(
    app: Celery, *, account: str = delivery.DEFAULT_ACCOUNT, producer: Any = None, timeout_s: float = 10.0
) -> None:
    """Publish a probe of the paused account, to any worker with its key."""
    queue = delivery.queue_of(delivery.PROBE, account)
    app.send_task(delivery.PROBE, queue=queue, producer=producer, ignore_result=True, confirm_timeout=timeout_s)


def publish_maintenance(
    app: Celery, name: str, *, account: str = delivery.DEFAULT_ACCOUNT, producer: Any = None, timeout_s: float = 10.0
) -> None:
    """Ask any worker to do what is due every so often; a lost message waits for the next time."""
    app.send_task(
        delivery.MAINTENANCE,
        args=(name,),
        queue=delivery.queue_of(delivery.MAINTENANCE, account),
        producer=producer,
        ignore_result=True,
        delivery_mode="transient",
        confirm_timeout=timeout_s,
    )
