"""Connections to Postgres whose waits have a deadline, the one place of commits, and spans of statements."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError

from worker.core import tracing
from worker.core.db import rights


def is_pooled(driver_connection: Any) -> bool:
    """Return whether a pooler answers in the server's place.

    A server names its process when a session begins. A pooler makes the client's session up itself, so that the process
    that executes a statement is another one; in its transaction mode it may be another one each time.
    """
    [executing] = driver_connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(executing != driver_connection.info.backend_pid)


_LIMITS = {
    "timezone": "UTC",
    # The forms in which psycopg reads instants and spans.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "statement_timeout": "{statement_s}s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "60s",
    # Compiling takes longer than any query here does: the planner thinks that a long history makes some expensive.
    "jit": "off",
}
"""Of each session, whatever the server, the database or the role prefers: a forgotten transaction must not hold back
vacuum or another node for ever."""
CONNECTION_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # Of several hosts in the URL the primary; of one that became a standby, none.
    "target_session_attrs": "read-write",
}
"""A connection whose other end is gone without a word is given up within a minute (libpq's names and units)."""
RESTED_S = 10.0
"""A connection that was not used for longer is tried before it is used again: the server may have ended it."""
BULK_ANSWER_S = 900.0
"""How long the server may be silent in a transaction that moves a million rows."""
_TRACED = {"db.system.name": "postgresql"}
CHANNEL = "darkroom"
"""What dispatchers listen to; a notification says only that something may be due now."""
Row = TypeVar("Row")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for longer than ``answer_s`` while it owes an answer."""

    answer_s: float | None = 75.0
    """Longer than ``statement_timeout``, which ends statements while the server still speaks; None: no bound."""

    def wait(self, gen: PQGen[Row], interval: float = 0.1, timeout: float | None = None) -> Row:
        """Run one exchange with the server; raise AnswerTimeout."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_s)
        except errors._WaitTimeout:  # noqa: SLF001 - psycopg documents it in Connection.wait
            self.pgconn.finish()
            raise AnswerTimeout(f"the database did not answer within {self.answer_s:.0f} s") from None


class Database:
    """A pool of connections to one database."""

    def __init__(self, url: str, *, connections: int = 20, answer_s: float = 75.0) -> None:
        """Prepare the pool; nothing connects before the first transaction.

        A connection that owes an answer for longer than ``answer_s`` seconds is closed; statements that the server
        is at are ended by it a little earlier.
        """
        self.url = parsed_url(url)
        self.answer_s = answer_s
        self._has_pooler: bool | None = None
        self.engine: Engine = create_engine(
            self.url,
            pool_size=connections,
            max_overflow=5,
            pool_pre_ping=False,
            pool_recycle=1800,
            # The connection that was used last has prepared what is executed most.
            pool_use_lifo=True,
            # An error is logged: prompts and tokens have no business there.
            hide_parameters=True,
            # No column is an hstore: looking for that type is a statement more for each process.
            use_native_hstore=False,
            connect_args={"application_name": "darkroom", **CONNECTION_OPTIONS},
        )
        event.listen(self.engine, "do_connect", lambda _dialect, _record, args, named: self._connect(*args, **named))
        event.listen(self.engine, "checkout", self._check_rested)
        event.listen(self.engine, "handle_error", _note_disconnect)
        watch_statements(self.engine)

    @property
    def has_pooler(self) -> bool:
        """Whether a connection pooler stands before the server; known once something has connected."""
        return bool(self._has_pooler)

    def connect(self) -> BoundedConnection:
        """Open a connection beside the pool, that commits each statement by itself."""
        connection = self._connect(self.conninfo, **CONNECTION_OPTIONS)
        connection.autocommit = True
        return connection

    def _connect(self, *arguments: Any, **named: Any) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **named)
        connection.answer_s = self.answer_s
        connection.autocommit = True
        if self._has_pooler is None:
            self._has_pooler = is_pooled(connection)
        if self._has_pooler:
            # Another client's statement may have the same name in the session that this one is given.
            connection.prepare_threshold = None
        else:
            connection.execute(self._settings(is_local=False))
            rights.take_role(connection)
        connection.autocommit = False
        # Sent with each BEGIN, since the server's default may be stricter: a transaction that waited for a row lock
        # would then fail with a serialization error instead of reading the new row.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _settings(self, *, is_local: bool) -> str:
        statement_s = max(1, round(self.answer_s * 0.8))
        values = {name: value.format(statement_s=statement_s) for name, value in _LIMITS.items()}
        calls = (f"set_config('{name}', '{value}', {str(is_local).lower()})" for name, value in values.items())
        return f"SELECT {', '.join(calls)}"

    def _check_rested(self, connection: Any, record: Any, _proxy: Any) -> None:
        """Try a connection that has rested; one that is no use is replaced by the pool."""
        now = time.monotonic()
        used_at = record.info.get("used_at", now)
        record.info["used_at"] = now
        if now - used_at < RESTED_S:
            return
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except psycopg.Error as error:
            raise DisconnectionError(str(error)) from error

    @contextmanager
    def transaction(self, *, is_snapshot: bool = False) -> Iterator[Connection]:
        """Yield a connection; commit when the block ends, roll back when it raises; a snapshot sees one instant."""
        with tracing.inside("transaction", _TRACED, kind="client"), self.engine.begin() as connection:
            if is_snapshot:
                # The server takes it before the first query alone, and what a pooler needs are queries.
                _see_one_instant(connection)
            if self._has_pooler:
                # Behind a pooler nothing that is set for a session stays with it.
                connection.exec_driver_sql(self._settings(is_local=True))
                connection.exec_driver_sql(rights.TAKE_ROLE_LOCALLY)
            yield connection

    @contextmanager
    def bulk_transaction(self, *, is_snapshot: bool = False) -> Iterator[Connection]:
        """Yield a transaction that may take as long as a million rows take; a snapshot sees one instant."""
        with (
            tracing.inside("bulk transaction", _TRACED, kind="client"),
            self.engine.connect() as connection,
            connection.begin(),
        ):
            driver: Any = connection.connection.driver_connection
            driver.answer_s = BULK_ANSWER_S
            try:
                if is_snapshot:
                    _see_one_instant(connection)
                if self._has_pooler:
                    connection.exec_driver_sql(self._settings(is_local=True))
                    connection.exec_driver_sql(rights.TAKE_ROLE_LOCALLY)
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                yield connection
            finally:
                driver.answer_s = self.answer_s

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()

    @property
    def conninfo(self) -> str:
        """The URL as psycopg itself takes it, password included."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _see_one_instant(connection: Connection) -> None:
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def violated(error: IntegrityError) -> str | None:
    """Return the name of the constraint that the statement broke."""
    return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None


def notify(tx: Connection) -> None:
    """Wake every dispatcher when this transaction commits."""
    tx.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def _note_disconnect(context: Any) -> None:
    """Have the pool thrown away after an error that every connection of it would meet."""
    if is_disconnect(context.original_exception):
        context.is_disconnect = True


DISCONNECTED = ("08", "57P", "25006", "25P03", "25P04")
"""SQLSTATEs, or classes of them, after which a connection is thrown away (Postgres, appendix A).

Connection exceptions; a server that shuts down, or has ended the session; a server that only reads, which a primary
becomes by a failover; a session or transaction that the server ended for resting or taking too long.
"""


class AnswerTimeout(psycopg.OperationalError):
    """The server sent nothing in time: the connection is closed, and what it was doing may or may not be committed."""


def is_disconnect(error: BaseException) -> bool:
    """Return whether the connection that raised the error is no use any more."""
    state = getattr(error, "sqlstate", None)
    return isinstance(error, AnswerTimeout) or bool(state and state.startswith(DISCONNECTED))


_SEVERAL = re.compile(r"^(?P<before>[^:/]+://(?:[^@/]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<after>[/?].*)?$", re.DOTALL)
"""libpq's form for several hosts, each with a port of its own, which SQLAlchemy does not read."""
_HOST = re.compile(r"^(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?$")


def parsed_url(url: str) -> URL:
    """Return the URL for SQLAlchemy with psycopg.

    Several hosts are tried in their order: ``postgresql://user@one:5432,two:5432/name`` (libpq), or
    ``postgresql://user@/name?host=one:5432&host=two:5432`` (SQLAlchemy). Both become what libpq takes in either place:
    ``?host=one,two&port=5432,5432``.

    Raises:
        ArgumentError: The URL cannot be read.
    """
    several = _SEVERAL.match(url)
    made = make_url(f"{several['before']}{several['after'] or ''}" if several else url)
    named = several["hosts"].split(",") if several else made.query.get("host")
    if isinstance(named, list | tuple):
        found = [(match["host"].strip("[]"), match["port"] or "") for each in named if (match := _HOST.match(each))]
        hosts, ports = (",".join(part) for part in zip(*found, strict=True))
        made = made.update_query_dict({"host": hosts, "port": ports})
    return made.set(drivername="postgresql+psycopg")


def hosts_of(url: URL) -> str:
    """Return the server's hosts, for people; empty for the local socket."""
    named = url.query.get("host")
    return url.host or (named if isinstance(named, str) else ", ".join(named or ()))


# Our own: OpenTelemetry's instrumentation of SQLAlchemy refuses SQLAlchemy 2.1; it logs an error and does nothing.
_TEXT_MAX = 600
"""Characters of a statement that are kept; values are bound, so that there are none in it."""
_CHANGE = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_]+)")
_READ = re.compile(r"\bFROM\s+([a-z_]+)")
_MOST_NAMED = 4


def watch_statements(engine: Engine) -> None:
    """Record a span for each statement inside another span; does nothing where tracing is off."""
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
