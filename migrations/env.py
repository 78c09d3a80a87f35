"""Runs migrations with short timeouts: one that would block the tables of a running system fails instead."""

import os
from typing import Any

from alembic import context
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from models import Table

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def _url() -> str:
    url: str | None = context.config.attributes.get("url") or os.environ.get("DARKROOM_DATABASE_URL")
    if not url:
        raise SystemExit("DARKROOM_DATABASE_URL is not set: say which database to migrate")
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _run(**source: Any) -> None:
    context.configure(target_metadata=Table.metadata, compare_type=True, compare_server_default=True, **source)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _run(url=_url(), literal_binds=True)
else:
    with create_engine(_url(), poolclass=NullPool).connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        # Two nodes that start together migrate one after the other.
        connection.execute(text("SELECT pg_advisory_lock(hashtext('darkroom.migrations'))"))
        connection.commit()
        _run(connection=connection)
