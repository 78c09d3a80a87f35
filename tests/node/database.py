"""How the database is taken away from a running worker: refused to all, or held in the middle of a write."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.acceptance.world import World

IN_WAIT = "datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%COPY job%'"


@contextmanager
def away(world: World) -> Iterator[None]:
    """Refuse every connection to the world's database, and end those that there are."""
    _permit(world, connections=False)
    world.database.engine.dispose()
    try:
        yield
    finally:
        _permit(world, connections=True)


def _permit(world: World, *, connections: bool) -> None:
    name = world.database.url.database
    server = make_url(world.database.conninfo).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {connections}')
        if not connections:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


@contextmanager
def jobs_locked(world: World) -> Iterator[None]:
    """Let every write of a job wait until the block ends."""
    with world.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("LOCK TABLE job IN SHARE MODE"))
        yield


def writers_in_wait(world: World) -> int:
    """Count the sessions that wait in the middle of writing jobs."""
    return int(world.query(f"SELECT count(*) AS n FROM pg_stat_activity WHERE {IN_WAIT}")[0]["n"])


def end_writers_in_wait(world: World) -> None:
    """End those sessions."""
    world.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {IN_WAIT}")


def cancel_writers_in_wait(world: World) -> None:
    """End what those sessions are doing and leave them alive, as a timeout of a lock or a statement does."""
    world.query(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {IN_WAIT}")


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """Let the database take no writes, as a standby does after a failover."""
    _let_write(world, is_permitted=False)
    try:
        yield
    finally:
        _let_write(world, is_permitted=True)


def _let_write(world: World, *, is_permitted: bool) -> None:
    read_only = "off" if is_permitted else "on"
    name = world.database.url.database
    server = make_url(world.database.conninfo).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {read_only}')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    world.database.engine.dispose()
