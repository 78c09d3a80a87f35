"""Spans as OpenTelemetry has them; imported only where something takes them."""

import logging
import os
import socket
import sys
from collections.abc import Iterable
from typing import Any, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from worker.core.rules import traceparent as rules
from worker.core.tracing import _NO_SPAN, Attributes, Kind, Role
from worker.core.version import version

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


class Spans:
    """Begins spans; safe to share between threads."""

    def __init__(self, provider: TracerProvider) -> None:
        """Have the provider take them; it is not made the global one, which belongs to the process' host."""
        self._provider = provider
        self._tracer = provider.get_tracer("darkroom", version())

    def begun(self, name: str, attributes: Attributes | None, *, kind: Kind, parent: object) -> "_Current":
        """Begin a span, below the current one where there is one."""
        context = contexts.get_current()
        if not trace.get_current_span(context).get_span_context().is_valid:
            remote = _context_of(rules.parse(parent))
            context = Context() if remote is None else trace.set_span_in_context(NonRecordingSpan(remote), Context())
        return self._current(name, attributes, kind, context, is_work=True)

    def opened(self, name: str, attributes: Attributes | None, *, kind: Kind) -> Any:
        """Begin a span below the current one, which stays the current one; without one, none."""
        return self.inside(name, attributes, kind=kind)

    def inside(self, name: str, attributes: Attributes | None, *, kind: Kind) -> Any:
        """Begin a span below the current one; without one, none."""
        if not trace.get_current_span().get_span_context().is_valid:
            return _NO_SPAN
        return self._current(name, attributes, kind, contexts.get_current())

    def shared(self, name: str, places: Iterable[SpanContext | None]) -> Any:
        """Begin a span below the first of some, with links to the others; without any, none."""
        known = [each for each in places if each is not None]
        if not known:
            return _NO_SPAN
        context = trace.set_span_in_context(NonRecordingSpan(known[0]), Context())
        return self._current(name, None, "internal", context, links=[Link(each) for each in known[1:]])

    def place(self) -> SpanContext | None:
        """Return the current span's own name, if there is one."""
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid else None

    def ids(self) -> tuple[str, str] | None:
        """Return trace id and span id in hex."""
        found = self.place()
        return found and (trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id))

    def traceparent(self) -> str | None:
        """Return the span of the piece of work as W3C Trace Context names it."""
        return _traceparent(_work().get_span_context())

    def note(self, attributes: Attributes, link: str | None) -> None:
        """Add to the span of the piece of work; without one nothing is added."""
        current = _Current(_work(), contexts.get_current())
        current.set(attributes)
        current.link(link)

    def end(self) -> None:
        """Flush the spans."""
        self._provider.shutdown()

    def _current(
        self,
        name: str,
        attributes: Attributes | None,
        kind: Kind,
        context: Context,
        *,
        links: list[Link] | None = None,
        is_work: bool = False,
    ) -> "_Current":
        span = self._tracer.start_span(
            name, context=context, kind=_KINDS[kind], attributes=attributes, links=links, record_exception=False
        )
        within = trace.set_span_in_context(span, context)
        return _Current(span, contexts.set_value(_WORK, span, within) if is_work else within)


_WORK = contexts.create_key("darkroom-work")
"""Where a context has the span of the piece of work, below which there may be parts."""


def _work() -> trace.Span:
    found = contexts.get_value(_WORK)
    return found if isinstance(found, trace.Span) else trace.get_current_span()


class _Current:
    """A span that is the current one while its block runs."""

    def __init__(self, span: trace.Span, context: Context) -> None:
        self._span, self._context = span, context

    def __enter__(self) -> Self:
        self._token = contexts.attach(self._context)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        contexts.detach(self._token)
        # A command that ends well may do so by an exception with the exit status 0.
        if isinstance(error, Exception) and getattr(error, "exit_code", 1) != 0:
            self.fail(type(error).__name__)
        self._span.end()

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def link(self, traceparent: str | None) -> None:
        """Link to a span of another trace."""
        context = _context_of(rules.parse(traceparent))
        if context is not None:
            self._span.add_link(context)

    def fail(self, kind: str) -> None:
        """Mark the span as failed, without the error's message, which may hold a prompt or an address."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """End it."""
        self._span.end()

    @property
    def traceparent(self) -> str | None:
        """Return the span's traceparent."""
        return _traceparent(self._span.get_span_context())


def _context_of(parsed: str | None) -> SpanContext | None:
    if parsed is None:
        return None
    _, trace_id, span_id, flags = parsed.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _traceparent(found: SpanContext | None) -> str | None:
    if found is None or not found.is_valid:
        return None
    ids = f"{trace.format_trace_id(found.trace_id)}-{trace.format_span_id(found.span_id)}"
    return f"00-{ids}-{found.trace_flags:02x}"


_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_COMMAND_S = 2
"""How long a command waits for its collector; a node and the web process have OpenTelemetry's own 10 s."""
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class NotExportable(Exception):
    """The variables name an exporter, or a protocol, that Darkroom does not have; the text has the next step."""


def provider(role: Role) -> TracerProvider:
    """Return what takes spans: sampler, resource, batches, endpoint and headers are those of the variables OTEL_*."""
    made = TracerProvider(resource=_resource(role))
    made.add_span_processor(BatchSpanProcessor(_exporter(role)))
    return made


def _resource(role: Role) -> Resource:
    """Describe this process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come first."""
    own = {
        "service.name": "darkroom",
        "service.version": version(),
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        "darkroom.role": role,
    }
    chosen = Resource.create()
    named = {name for name, value in chosen.attributes.items() if not str(value).startswith("unknown_service")}
    return chosen.merge(Resource({name: value for name, value in own.items() if name not in named}))


def _exporter(role: Role) -> SpanExporter:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if name == "console":
        # Standard output is a command's answer.
        return ConsoleSpanExporter(out=sys.stderr)
    if name != "otlp":
        raise NotExportable(f"OTEL_TRACES_EXPORTER is {name!r}: set it to otlp, console or none")
    chosen = next((value for each in _PROTOCOLS if (value := os.environ.get(each, "").strip())), "http/protobuf")
    if chosen != "http/protobuf":
        raise NotExportable(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {chosen!r}: set it to http/protobuf, and the endpoint to the"
            " collector's port for HTTP (4318)"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    if role != "command" or any(os.environ.get(each) for each in _TIMEOUTS):
        return OTLPSpanExporter()
    # A command sends its spans when it ends: a collector that is away must not hold it up, nor say so at each try.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    return OTLPSpanExporter(timeout=_COMMAND_S)
