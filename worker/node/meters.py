"""The metrics of a node's own work, for Prometheus.

A node is one process with threads (Celery's ``threads`` pool), so one registry in memory has all of it.
"""

from collections.abc import Callable
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from worker.core.rules.states import StepKind
from worker.core.version import version
from worker.engine.rules.call import Call
from worker.engine.services import Meters

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
        """Keep how long a job had waited when its first request was sent."""
        self._queue.observe(max(waited.total_seconds(), 0.0))

    def detected(self, *, provider: timedelta, lag: timedelta) -> None:
        """Keep how long a generation took at the provider, and how long after that its end was seen."""
        self._provider.observe(max(provider.total_seconds(), 0.0))
        self._detection.observe(max(lag.total_seconds(), 0.0))
