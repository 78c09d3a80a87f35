"""Spans of statements, from SQLAlchemy's own events.

OpenTelemetry's instrumentation of SQLAlchemy refuses SQLAlchemy 2.1: it logs an error and does nothing.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

from worker.core import tracing

_TEXT_MAX = 600
"""Characters of a statement that are kept; values are bound, so that there are none in it."""
_CHANGE = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_]+)")
_READ = re.compile(r"\bFROM\s+([a-z_]+)")
_MOST_NAMED = 4


def watch(engine: Engine) -> None:
    """Have a span for each statement within another span; nothing is added to the engine where nothing takes spans."""
    if not tracing.is_on():
        return
    place = {"db.system.name": "postgresql", "db.namespace": engine.url.database or ""}
    if engine.url.host:
        place |= {"server.address": engine.url.host}

    def begin(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any) -> None:
        summary, text = described(statement)
        named = {**place, "db.query.summary": summary, "db.query.text": text}
        context.darkroom_span = tracing.opened(summary, named, kind="client")

    def end(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: Any) -> None:
        context.darkroom_span.end()

    def fail(failed: Any) -> None:
        span: tracing.Span | None = getattr(failed.execution_context, "darkroom_span", None)
        if span is not None:
            state = getattr(failed.original_exception, "sqlstate", None)
            span.fail(state or type(failed.original_exception).__name__)
            span.end()

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)


@lru_cache(maxsize=512)
def described(statement: str) -> tuple[str, str]:
    """Return what a statement does to which tables, and its text on one line."""
    text = " ".join(statement.split())
    changes = dict.fromkeys(f"{verb.split()[0]} {table}" for verb, table in _CHANGE.findall(statement))
    if changes:
        return ", ".join(list(changes)[:_MOST_NAMED]), text[:_TEXT_MAX]
    read = _READ.search(statement)
    return f"SELECT {read[1]}" if read else text.split(" ", 1)[0][:20], text[:_TEXT_MAX]
