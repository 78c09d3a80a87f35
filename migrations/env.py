"""Runs migrations beside working nodes: short waits for locks, and one transaction that is tried again without them."""

import time
from typing import Any

from alembic import context
from psycopg import errors
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from models import Table
from worker import settings
from worker.core.db import session

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"
TRIES, PAUSE_S = 20, 0.5
"""Nodes lock tables in an order of their own: now and then one side has to give way, or a lock is not had in time. What
waits behind a migration goes on in the pause."""
PRIMARY = {"target_session_attrs": "read-write"}
"""Of several hosts in the URL the one that accepts writes."""

# A new schema belongs to this role where there is one that the login may take on, so that no login owns the tables.
TAKE_OWNER = """
    SELECT set_config('role', r.rolname, false) FROM pg_roles r
    WHERE r.rolname = 'darkroom_owner' AND has_schema_privilege(r.oid, current_schema(), 'CREATE')
        AND pg_has_role(r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET'
            ELSE 'MEMBER' END)
        AND NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('alembic_version') AND relowner <> r.oid)"""


def _url() -> str:
    url: str | None = context.config.attributes.get("url") or settings.secret("DARKROOM_DATABASE_URL")
    if not url:
        raise SystemExit(
            "DARKROOM_DATABASE_URL is not set: say which database to migrate (or in DARKROOM_DATABASE_URL_FILE)"
        )
    return session.parsed_url(url).render_as_string(hide_password=False)


def _run(**source: Any) -> None:
    context.configure(target_metadata=Table.metadata, compare_type=True, compare_server_default=True, **source)
    with context.begin_transaction():
        context.run_migrations()


def _run_beside_nodes(connection: Connection) -> None:
    """Run all of them again when one did not get its locks or lost a deadlock: nothing of them is done then."""
    for left in reversed(range(TRIES)):
        try:
            _run(connection=connection)
        except DBAPIError as error:
            if not left or not isinstance(error.orig, errors.DeadlockDetected | errors.LockNotAvailable):
                raise
            connection.rollback()
            time.sleep(PAUSE_S)
        else:
            return


if context.is_offline_mode():
    _run(url=_url(), literal_binds=True)
else:
    with create_engine(_url(), poolclass=NullPool, connect_args=PRIMARY).connect() as connection:
        connection.exec_driver_sql(TAKE_OWNER)
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        # Two nodes that start together migrate one after the other.
        connection.execute(text("SELECT pg_advisory_lock(hashtext('darkroom.migrations'))"))
        connection.commit()
        _run_beside_nodes(connection)
