"""How log lines look: a constant event name, and fields beside it."""

import logging
import os
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

from worker.core import tracing

_QUIET = ("urllib3", "kombu", "amqp", "celery.utils", "celery.app.trace", "celery.worker.strategy", "PIL")
"""Libraries whose information is of no use to an operator."""


def configure(*, style: Literal["console", "json"], level: str) -> None:
    """Send every line of this process, the libraries' too, to standard error in one shape."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(style)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def to_standard_error() -> None:
    """Send the lines of a command to standard error, for its standard output is its answer.

    structlog's own default is standard output, before the JSON that a script reads. A process whose log is configured
    keeps it.
    """
    if not isinstance(structlog.get_config()["logger_factory"], structlog.PrintLoggerFactory):
        return
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                *_renderer("console"),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_least_severe()),
        )
    factory = structlog.WriteLoggerFactory(file=_StandardError())  # type: ignore[arg-type]  # all that it needs
    structlog.configure(logger_factory=factory)


def _least_severe() -> int:
    """Show what a person has to know beside a command's own answer, or what DARKROOM_LOG_LEVEL says."""
    named = logging.getLevelNamesMapping().get(os.environ.get("DARKROOM_LOG_LEVEL", "").upper())
    return logging.WARNING if named is None else named


class _StandardError:
    """Standard error as it is when a line is written: it may have been replaced since the log was configured."""

    def write(self, line: str) -> None:
        sys.stderr.write(line)

    def flush(self) -> None:
        sys.stderr.flush()


def add_trace(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Name the current span, where something takes spans."""
    found = tracing.ids()
    if found is not None:
        line["trace_id"], line["span_id"] = found
    return line


def _renderer(style: Literal["console", "json"]) -> list[Any]:
    """Render without the values of local variables: a traceback must not show a password or a key."""
    if style == "json":
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(default=str),
        ]
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
