"""A collector of OpenTelemetry on a socket of this machine: OTLP over HTTP, as an exporter speaks it."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NO_PARENT = ""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    links: tuple[tuple[str, str], ...]
    is_failed: bool

    @property
    def place(self) -> list[str]:
        """As a traceparent names it between its version and its flags."""
        return [self.trace_id, self.span_id]


@dataclass(kw_only=True)
class Collector:
    """What has arrived so far."""

    url: str
    spans: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> list[Received]:
        return [each for each in self.spans if each.name == name]

    def steps(self) -> list[Received]:
        return [each for each in self.spans if "darkroom.step" in each.attributes]

    def roots(self) -> set[str]:
        return {each.name for each in self.spans if each.parent_id == NO_PARENT}

    def orphans(self, *, known: tuple[str, ...] = ()) -> list[str]:
        """Return the spans whose parent has not arrived; ``known`` are spans of producers."""
        there = {(each.trace_id, each.span_id) for each in self.spans}
        there |= {(trace_id, span_id) for each in known for _, trace_id, span_id, _ in [each.split("-")]}
        return [
            f"{each.name} below {each.parent_id}"
            for each in self.spans
            if each.parent_id != NO_PARENT and (each.trace_id, each.parent_id) not in there
        ]

    def words(self) -> bytes:
        """Return all that has arrived, to be searched for what must not be in it."""
        return b"\n".join(self.raw)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [_received(span, resource) for span in of_scope.spans]


def _received(span: Any, resource: Mapping[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        resource=resource,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        is_failed=span.status.code == 2,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Take spans at an address of this machine while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            found.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Collector(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
