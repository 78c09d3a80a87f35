"""Where spans go, as the variables OTEL_* of OpenTelemetry say; imported only where they are wanted."""

import os
import socket
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from worker.core.tracing import Role
from worker.core.version import version

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class NotExportable(Exception):
    """The variables name an exporter, or a protocol, that Darkroom does not have; the text has the next step."""


def provider(role: Role) -> TracerProvider:
    """Return what takes spans: sampler, resource, batches, endpoint and headers are those of the variables OTEL_*."""
    made = TracerProvider(resource=_resource(role))
    made.add_span_processor(BatchSpanProcessor(_exporter()))
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


def _exporter() -> SpanExporter:
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

    return OTLPSpanExporter()
