"""A connection to Postgres, and the one place where a transaction is committed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from worker.db import rights

_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=60000 -c lock_timeout=20000 -c idle_in_transaction_session_timeout=60000"
)
"""A forgotten transaction must not hold back vacuum or another node for ever."""

PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A connection whose other end is gone without a word is given up within a minute (libpq's names and units)."""

CHANNEL = "darkroom"
"""What dispatchers listen to; a notification says only that something may be due now."""


class Database:
    """A pool of connections to one database."""

    def __init__(self, url: str, *, connections: int = 20) -> None:
        """Prepare the pool; nothing connects before the first transaction."""
        self.url = make_url(url).set(drivername="postgresql+psycopg")
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
            connect_args={"options": _OPTIONS, "application_name": "darkroom", **PATIENCE},
        )
        event.listen(self.engine, "connect", lambda connection, _: rights.take_role(connection))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection; commit when the block ends, roll back when it raises."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def bulk_transaction(self, *, is_snapshot: bool = False) -> Iterator[Connection]:
        """Give a transaction that may take as long as a million rows take; a snapshot sees one instant, to be read."""
        with self.transaction() as tx:
            if is_snapshot:
                tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            tx.execute(text("SET LOCAL statement_timeout = 0"))
            tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield tx

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()

    @property
    def conninfo(self) -> str:
        """The URL as psycopg itself takes it, password included."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)


def violated(error: IntegrityError) -> str | None:
    """Give the name of the constraint that the statement broke."""
    return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None


def notify(tx: Connection) -> None:
    """Wake every dispatcher when this transaction commits."""
    tx.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})
