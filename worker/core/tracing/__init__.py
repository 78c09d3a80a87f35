"""Spans of this process's work, for OpenTelemetry; where nothing takes them, every call here does nothing.

Only this package imports OpenTelemetry, and only once ``configure`` has found that spans are wanted: the variables
OTEL_* name an exporter, and the extra ``darkroom[otel]`` is installed.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from worker.core.tracing.spans import Spans

P = ParamSpec("P")
R = TypeVar("R")
Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["internal", "server", "client", "consumer"]
Role = Literal["command", "node", "web"]

_WANTED_BY = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_spans: "Spans | None" = None
"""None: nothing takes spans."""


class Span(Protocol):
    """A span that has begun."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes; never a key, a prompt or a signed address."""

    def link(self, traceparent: str | None) -> None:
        """Link to the span of another trace, such as the producer's; None: there is none."""

    def fail(self, kind: str) -> None:
        """Mark it as failed, by the class or the code of the error."""

    def end(self) -> None:
        """End a span that is not the current one of a block."""

    @property
    def traceparent(self) -> str | None:
        """How another process names this span as its parent; None: nothing takes spans."""


class _NoSpan:
    """Stands for a span where nothing takes them; also the context manager that yields it."""

    traceparent: str | None = None

    def set(self, attributes: Attributes) -> None:
        pass

    def link(self, traceparent: str | None) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def end(self) -> None:
        pass

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_NO_SPAN = _NoSpan()


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the variables OTEL_* ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    named = [environment[name].strip() for name in _WANTED_BY if environment.get(name, "").strip()]
    return bool(named) and environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() != "none"


def configure(role: Role, provider: "TracerProvider | None" = None) -> str | None:
    """Start tracing, if the settings ask for it; return why it cannot start, with the next step.

    ``provider`` takes them instead of what the environment names.
    """
    global _spans  # noqa: PLW0603 - of the process, as OpenTelemetry's own state is
    if _spans is not None or (provider is None and not is_wanted()):
        return None
    try:
        from worker.core.tracing import spans  # noqa: PLC0415 - costs 0.2 s, which most processes save
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        return "OpenTelemetry is not installed: pip install 'darkroom[otel]', or unset the variables OTEL_*"
    try:
        _spans = spans.Spans(provider or spans.provider(role))
    except spans.NotExportable as error:
        return str(error)
    return None


def end() -> None:
    """Flush the spans and stop tracing."""
    global _spans
    ending, _spans = _spans, None
    if ending is not None:
        ending.end()


def is_on() -> bool:
    """Return whether something takes spans."""
    return _spans is not None


def begun(
    name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", parent: object = None
) -> AbstractContextManager[Span]:
    """Begin a span: below the current one, or below ``parent`` (a traceparent), or as the root of a trace.

    A parent that makes no sense is none.
    """
    return _NO_SPAN if _spans is None else _spans.begun(name, attributes, kind=kind, parent=parent)


def inside(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal") -> AbstractContextManager[Span]:
    """Begin a child span; outside of any span nothing is recorded, so that no span lacks its parent."""
    return _NO_SPAN if _spans is None else _spans.inside(name, attributes, kind=kind)


def opened(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal") -> Span:
    """Begin a part as ``inside`` does, without making it the current span; who opens it ends it."""
    return _NO_SPAN if _spans is None else _spans.opened(name, attributes, kind=kind)


def shared(name: str, places: Iterable[Any]) -> AbstractContextManager[Span]:
    """Begin a span that several traces share: below the first of their ``place``s, linked to the others."""
    return _NO_SPAN if _spans is None else _spans.shared(name, places)


def place() -> Any:
    """Return where the current span can be continued from another thread, with ``shared``; None: nowhere."""
    return None if _spans is None else _spans.place()


def ids() -> tuple[str, str] | None:
    """Return trace id and span id of the current span, as logs name them."""
    return None if _spans is None else _spans.ids()


def traceparent() -> str | None:
    """Return the traceparent to store with a batch: of the current span, or of the host process's own tracing."""
    if _spans is not None:
        return _spans.traceparent()
    host: Any = sys.modules.get("opentelemetry.trace")
    found = None if host is None else host.get_current_span().get_span_context()
    if found is None or not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def note(attributes: Attributes, *, link: str | None = None) -> None:
    """Add attributes to the span of the piece of work, and a link to the span that a traceparent names."""
    if _spans is not None:
        _spans.note(attributes, link)


def carried(do: Callable[P, R]) -> Callable[P, R]:
    """Return the function as one that, once and in whatever thread, runs in the present span and log context."""
    return partial(copy_context().run, do)
