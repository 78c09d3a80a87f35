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
from worker.accounts.binding import OtherProvider
from worker.core.db.clock import uptime
from worker.core.db.listening import Listener, Listening
from worker.core.db.schema import WrongSchema
from worker.core.rules.errors import first_line
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.node import process
from worker.node.consumer_watchdog import ConsumerWatchdog, threads
from worker.node.fetch_stage import FetchStage
from worker.node.heartbeat import Heartbeat, StallWatch
from worker.node.metrics_server import MetricsServer
from worker.node.progress import Progress
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
        self._loop: Loop | None = None
        self._messages: FetchStage | None = None
        self._progress: Progress | None = None

    def start(self, parent: Any) -> None:
        """Start the threads."""
        chosen = settings.load()
        self._loop = Loop(parent.app, _services(), ConsumerWatchdog(parent.app, parent.hub), chosen)
        self._loop.start()
        self._progress = Progress(
            _services(), self._loop.heartbeat, threads, concurrency=parent.app.conf.worker_concurrency
        )
        _serve_metrics(chosen, self._progress, most=parent.app.conf.worker_concurrency)
        self._messages = FetchStage(_services(), loads)
        self._messages.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop handing out work, and return when the downloads that have begun have ended; other work goes on."""
        if self._loop is not None:
            self._end_progress()
            self._loop.stop()
            self._stop_messages()
            process.services().senders.end()
            process.services().collectors.drain()
            process.services().senders.drain()

    def terminate(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop handing out work, and begin nothing more."""
        if self._loop is not None:
            self._end_progress()
            self._loop.stop()
            self._stop_messages()
            process.services().collectors.end()
            process.services().senders.end()

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.drain()

    def _stop_messages(self) -> None:
        if self._messages is not None:
            self._messages.stop()


def _serve_metrics(chosen: Settings, progress: Progress, *, most: int) -> None:
    if chosen.node_metrics is not None:
        meters = process.meters()
        meters.watch_threads(busy=lambda: threads.busy, most=most)
        MetricsServer(chosen.node_metrics, meters.registry, progress.ready).start()


def _services() -> Services:
    """Return the parts of this node; end it with a sentence when they cannot be put together."""
    try:
        return process.services()
    except (NotConfigured, OtherProvider, WrongSchema) as error:
        log.critical("node.not_configured", reason=str(error))
        raise SystemExit(_MISCONFIGURED) from None
    except DBAPIError as error:
        log.critical("node.database_unreachable", reason=first_line(error.orig))
        raise SystemExit(_WITHOUT_DATABASE) from None


def _uptime() -> datetime:
    """Return an instant for durations, which no clock that is set can change."""
    return datetime.min.replace(tzinfo=UTC) + timedelta(seconds=uptime())


class Loop:
    """Round after round: decide, publish in the rhythm of the slots, wait for the next reason to look."""

    def __init__(self, app: Celery, services: Services, ear: ConsumerWatchdog, chosen: Settings) -> None:
        """Prepare the thread; it is a daemon, for its work may be lost at any instant without harm."""
        self._app = app
        self._services = services
        self._ear = ear
        self._unread = UnreadQueues(app)
        self._listening = Listening(services.database, chosen.database_direct_url)
        self._broker_s = chosen.broker_timeout.total_seconds()
        # Longer than any single wait of a round: some statements and some messages, one after the other.
        stalled_s = 2 * chosen.database_timeout.total_seconds() + 5 * self._broker_s + 15
        self._watch = StallWatch("dispatcher", after_s=stalled_s)
        self.heartbeat = Heartbeat(services, wiring.clock)
        known = app.connection_for_write().connection_errors
        self._broker_errors: tuple[type[BaseException], ...] = (BrokerError, OSError, *known)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-dispatcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._watch.start()
        self._unread.start()
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way, within a second or two."""
        self._ended.set()
        self._unread.stop()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        log.info("dispatcher.started")
        while not self._ended.is_set():
            try:
                with self._listening.opened() as listener:
                    while not self._ended.is_set():
                        self._watch.progress()
                        listener.check()
                        self.heartbeat.beat()
                        self._round(listener)
            except (DBAPIError, psycopg.Error) as error:
                log.warning("dispatcher.database_error", error=first_line(error))
                self.heartbeat.round_failed(error)
                self._ended.wait(_TROUBLE_WAIT_S)
            except self._broker_errors as error:
                log.warning("dispatcher.broker_unreachable", error=str(error) or type(error).__name__)
                self.heartbeat.round_failed(error)
                self._drop_broker_connections()
                self._ended.wait(_TROUBLE_WAIT_S)
            except Exception as error:
                log.exception("dispatcher.failed")
                self.heartbeat.round_failed(error)
                self._ended.wait(_TROUBLE_WAIT_S)
            self._watch.progress()
        self._watch.stop()
        self.heartbeat.end()
        log.info("dispatcher.stopped")

    def _drop_broker_connections(self) -> None:
        """Begin with new ones: a connection that was given up in the middle may get the answer to something else."""
        pools.reset()
        # What Celery itself does after a fork: the next use makes new pools.
        app: Any = self._app
        app._pool = None  # noqa: SLF001
        app.amqp._producer_pool = None  # noqa: SLF001

    def _round(self, listener: Listener) -> None:
        decided = dispatch.run(self._services)
        if decided.is_replaced:
            log.error("node.key_replaced", next_step="give all nodes one key, and start this one again")
            self._ended.wait(dispatch.REPLACED_WAIT.total_seconds())
            return
        self._services.latencies.share(self._services.database, self._services.clock())
        self._publish(decided)
        self.heartbeat.round_completed()
        self._ear.look(_uptime())
        wait = decided.wait(self._services.clock(), is_busy=self._idle_threads() <= 0).total_seconds()
        if not self._ended.is_set():
            listener.wait(wait)

    def _publish(self, decided: dispatch.Round) -> None:
        """Send each ticket when its slot begins."""
        with self._app.producer_pool.acquire(block=True, timeout=10) as producer:
            for tickets in bundles(decided.tickets, threads=max(1, self._idle_threads())):
                early = (tickets[0].not_before - self._services.clock()).total_seconds()
                if early > 0:
                    # Slots lie within the horizon, unless the database's clock was set back since the round.
                    self._services.pause(min(early, 1.0))
                publish(self._app, tickets, producer=producer, timeout_s=self._broker_s)
            if decided.is_probe_due:
                publish_probe(self._app, producer=producer, timeout_s=self._broker_s)
            for name in decided.maintenance:
                publish_maintenance(self._app, name, producer=producer, timeout_s=self._broker_s)

    def _idle_threads(self) -> int:
        concurrency: int = self._app.conf.worker_concurrency
        return concurrency - threads.busy


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


def publish_maintenance(app: Celery, name: str, *, producer: Any = None, timeout_s: float = 10.0) -> None:
    """Ask any worker to do what is due every so often; a lost message waits for the next time."""
    app.send_task(
        "darkroom.maintenance",
        args=(name,),
        queue="darkroom.maintenance",
        producer=producer,
        ignore_result=True,
        delivery_mode="transient",
        confirm_timeout=timeout_s,
    )
