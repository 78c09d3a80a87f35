"""Spans that arrive at a collector, of nodes and commands on a database of their own."""

from collections.abc import Iterator

import pytest

from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.tracing.collector import Collector, collecting
from tests.web.conftest import context
from worker.core import tracing

__all__ = ["clock", "context", "folder", "node", "node_for", "process", "sandbox"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Have the spans of this process sent to a collector; they have arrived after ``tracing.end()``."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    assert tracing.configure("node") is None
    yield collector
    tracing.end()
