"""Where spans go, as the variables OTEL_* of OpenTelemetry say; imported only where they are wanted."""

import logging
import os
import socket
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from worker.core.tracing import Role
from worker.core.version import version

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
