"""Runs migrations with short timeouts: one that would block the tables of a running system fails instead."""

from typing import Any

from alembic import context
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from models import Table
from worker import settings

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"

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
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _run(**source: Any) -> None:
    context.configure(target_metadata=Table.metadata, compare_type=True, compare_server_default=True, **source)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _run(url=_url(), literal_binds=True)
else:
    with create_engine(_url(), poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(TAKE_OWNER)
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        # Two nodes that start together migrate one after the other.
        connection.execute(text("SELECT pg_advisory_lock(hashtext('darkroom.migrations'))"))
        connection.commit()
        _run(connection=connection)
