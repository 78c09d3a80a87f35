"""Notifications of the database: a session beside the pool that is listened to, and looked after."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from worker.core.db.session import CHANNEL, BoundedConnection, Database

CHECK_EVERY_S = 10.0
"""How often a session is asked whether it is still there: one that says nothing may be silent or dead."""


class Listener:
    """One session that is listened to; for one thread."""

    def __init__(self, connection: BoundedConnection | None) -> None:
        """Listen to the connection; None: there is nothing to listen to, and waiting is only that."""
        self._connection = connection
        self._checked_at = time.monotonic()

    def check(self) -> None:
        """Ask now and then whether the server is still there; raises psycopg's errors when it does not answer."""
        if self._connection is not None and time.monotonic() >= self._checked_at + CHECK_EVERY_S:
            self._connection.execute("SELECT 1")
            self._checked_at = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait for a notification, at most that long; consumes all that have arrived."""
        if self._connection is None:
            time.sleep(max(0.0, seconds))
            return
        if seconds > 0:
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        # One look serves all the notifications that have come in meanwhile; unread ones would hold the server up.
        for _ in self._connection.notifies(timeout=0):
            pass


class Listening:
    """Opens sessions to listen to."""

    def __init__(self, database: Database, direct_url: SecretStr | None) -> None:
        """Listen at the database, or at ``direct_url`` where it is a pooler, which passes no notifications on."""
        self._database = database
        self._direct_url = direct_url

    @contextmanager
    def opened(self) -> Iterator[Listener]:
        """Listen before the first query, so that no notification is missed; raises psycopg's errors."""
        connection = self._connect()
        if connection is None:
            yield Listener(None)
            return
        with connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield Listener(connection)

    def _connect(self) -> BoundedConnection | None:
        if self._direct_url is not None:
            direct = Database(self._direct_url.get_secret_value(), connections=1, answer_s=self._database.answer_s)
            return direct.connect()
        found = self._database.connect()
        if not self._database.has_pooler:
            return found
        found.close()
        return None
