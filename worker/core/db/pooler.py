"""A connection pooler such as PgBouncer between here and Postgres: what must not outlive a transaction then."""

from typing import Any


def is_between(driver_connection: Any) -> bool:
    """Return whether a pooler answers in the server's place.

    A server names its process when a session begins. A pooler makes the client's session up itself, so that the process
    that executes a statement is another one; in its transaction mode it may be another one each time.
    """
    [executing] = driver_connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(executing != driver_connection.info.backend_pid)
