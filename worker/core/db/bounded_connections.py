"""Connections to Postgres on which no wait is without an end, and that know when they are no use any more."""

from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen

Row = TypeVar("Row")

DISCONNECTED = ("08", "57P", "25006", "25P03", "25P04")
"""SQLSTATEs, or classes of them, after which a connection is thrown away (Postgres, appendix A).

Connection exceptions; a server that shuts down, or has ended the session; a server that only reads, which a primary
becomes by a failover; a session or transaction that the server ended for resting or taking too long.
"""


class AnswerTimeout(psycopg.OperationalError):
    """The server sent nothing in time: the connection is closed, and what it was doing may or may not be committed."""


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


def is_disconnect(error: BaseException) -> bool:
    """Return whether the connection that raised the error is no use any more."""
    state = getattr(error, "sqlstate", None)
    return isinstance(error, AnswerTimeout) or bool(state and state.startswith(DISCONNECTED))
