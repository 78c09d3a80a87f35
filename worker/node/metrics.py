"""What a node tells of itself: the metrics of its own work, and the HTTP listener for /metrics, /healthz and /readyz.

A node is one process with threads (Celery's ``threads`` pool), so one registry in memory has all of it.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import SQLAlchemyError

from worker.core.rules.errors import first_line
from worker.core.rules.states import StepKind
from worker.core.version import version
from worker.engine.rules.call import Call
from worker.engine.services import Meters, Services
from worker.node.consumer_watchdog import Threads
from worker.node.heartbeat import Heartbeat
from worker.node.queries import nodes
from worker.node.rules.readiness import NodeFacts, Readiness, judge

_CALLS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)
"""Seconds; a call is cut off after 40."""
_QUEUE = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86_400)
_PROVIDER = (1, 2, 4, 6, 8, 12, 20, 30, 60, 120, 300, 900)
_DETECTION = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)


class NodeMeters(Meters):
    """Counts calls and steps, and keeps the three clocks of an image as histograms."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Begin at zero, in a registry of its own unless one is given."""
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        info = Gauge("darkroom_build", "1, with the version as a label.", ["version"], registry=self.registry)
        info.labels(version()).set(1)
        self._calls = Counter(
            "darkroom_requests", "Calls by operation and outcome.", ["operation", "outcome"], registry=self.registry
        )
        self._call_seconds = self._histogram("darkroom_request_seconds", "Latency of calls.", _CALLS, "operation")
        self._step_seconds = self._histogram("darkroom_step_seconds", "How long steps take here.", _CALLS, "step")
        self._queue = self._histogram(
            "darkroom_queue_seconds", "Our queue: from the submission of a job to its first paid request.", _QUEUE
        )
        self._provider = self._histogram(
            "darkroom_provider_seconds", "At the provider: from the acceptance of a generation to its end.", _PROVIDER
        )
        self._detection = self._histogram(
            "darkroom_detection_seconds", "Detection: from a generation's end until it was seen.", _DETECTION
        )

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, help_, labels, buckets=buckets, registry=self.registry)

    def watch_threads(self, *, busy: Callable[[], float], most: int) -> None:
        """Show how many threads are at a message, of how many."""
        Gauge("darkroom_threads", "Threads for steps.", registry=self.registry).set(most)
        Gauge("darkroom_threads_busy", "Threads that are at a message.", registry=self.registry).set_function(busy)

    def called(self, call: Call) -> None:
        """Count a call that has ended."""
        self._calls.labels(call.kind.value, call.outcome.value).inc()
        if call.ended_at is not None:
            self._call_seconds.labels(call.kind.value).observe((call.ended_at - call.started_at).total_seconds())

    def stepped(self, kind: StepKind, took: timedelta) -> None:
        """Keep how long a step took in this process."""
        self._step_seconds.labels(kind.value).observe(took.total_seconds())

    def queued(self, waited: timedelta) -> None:
        """Record how long a job waited before its first request."""
        self._queue.observe(max(waited.total_seconds(), 0.0))

    def detected(self, *, provider: timedelta, lag: timedelta) -> None:
        """Keep how long a generation took at the provider, and how long after that its end was seen."""
        self._provider.observe(max(provider.total_seconds(), 0.0))
        self._detection.observe(max(lag.total_seconds(), 0.0))


log = structlog.get_logger(__name__)
_CLIENT_S = 5.0
"""How long a client may be silent."""
_JSON = "application/json"


class MetricsServer:
    """Answers until the process ends: a node that drains is alive, and not ready. Its threads are daemons."""

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, ready: Callable[[], Readiness]) -> None:
        """Prepare to listen on a host and port."""
        self._address, self._registry, self._ready = address, registry, ready

    def start(self) -> int | None:
        """Listen; returns the port, or None where the address is not free: a node works without its metrics, too."""
        host, port = self._address
        try:
            server = _server(host, port, self._answer)
        except OSError as error:
            step = "give each node of a machine its own DARKROOM_NODE_METRICS, or `off`"
            log.warning("node.metrics_not_served", address=f"{host}:{port}", error=str(error), next_step=step)
            return None
        threading.Thread(target=server.serve_forever, name="darkroom-metrics", daemon=True).start()
        found: int = server.server_address[1]
        log.info("node.metrics_served", address=f"{host}:{found}")
        return found

    def _answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(self._registry)
        if path == "/healthz":
            return HTTPStatus.OK, _JSON, b'{"status": "alive"}'
        if path == "/readyz":
            found = self._ready()
            status = HTTPStatus.OK if found.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, _JSON, json.dumps({"status": found.reason, "detail": found.detail}).encode()
        return HTTPStatus.NOT_FOUND, _JSON, b'{"status": "not_found"}'


def _server(host: str, port: int, answer: Callable[[str, str], tuple[HTTPStatus, str, bytes]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_S
        server_version = "darkroom"
        sys_version = ""

        def do_GET(self) -> None:
            status, content_type, body = answer(self.path.partition("?")[0], self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            """Say nothing of each probe."""

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET
        daemon_threads = True
        request_queue_size = 32

        def handle_error(self, *_: Any) -> None:
            """Say nothing of a client that went away."""

    return Server((host, port), Handler)


class ReadinessProbe:
    """Collects the facts by which readiness is judged; for any thread."""

    def __init__(
        self,
        services: Services,
        heartbeat: Heartbeat,
        threads: Threads,
        *,
        concurrency: int,
        others: Sequence[Services] = (),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin as a node that has just started."""
        self._services, self._heartbeat, self._threads = services, heartbeat, threads
        self._accounts = [each.account_id for each in (services, *others)]
        self._concurrency = concurrency
        self._now_s = now_s
        self._began_s = now_s()
        self._draining = threading.Event()
        # One at a time: probes that pile up while the database is slow may not take its connections.
        self._asking = threading.Lock()

    def drain(self) -> None:
        """Record that the node is draining."""
        self._draining.set()

    def ready(self) -> Readiness:
        """Return whether the node makes progress; asks the database what waits."""
        with self._asking:
            return judge(self._facts())

    def _facts(self) -> NodeFacts:
        found, failure = None, None
        if not self._draining.is_set():
            try:
                with self._services.database.transaction() as tx:
                    found = max((nodes.waiting(tx, each) for each in self._accounts), key=lambda w: w.waiting_s or 0.0)
            except SQLAlchemyError as error:
                failure = first_line(getattr(error, "orig", None) or error)
        now_s, taken_s = self._now_s(), self._threads.taken_at_s
        return NodeFacts(
            is_draining=self._draining.is_set(),
            up_s=now_s - self._began_s,
            round_age_s=self._heartbeat.round_age_s,
            error=self._heartbeat.error,
            taken_age_s=None if taken_s is None else now_s - taken_s,
            are_threads_busy=self._threads.busy >= self._concurrency,
            waiting_s=None if found is None else found.waiting_s,
            rate=None if found is None else found.rate,
            database_error=failure,
        )
