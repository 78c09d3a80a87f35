"""The version of the database's tables, and the versions that this code knows."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import worker
from worker.core.rules.errors import DarkroomError


class MigrationsMissing(DarkroomError):
    """The migrations are not installed beside the program."""

    error_code = "migrations_missing"


class WrongSchema(DarkroomError):
    """The tables are of another version than this code works with."""

    error_code = "wrong_schema"
    exit_code = 2


def config() -> Config:
    """Return where the migrations are, whatever the working directory."""
    place = Path(worker.__path__[0]).resolve().parent / "migrations"
    if not (place / "env.py").exists():
        raise MigrationsMissing(f"the migrations are not where they belong, in {place}: install Darkroom again")
    found = Config()
    found.set_main_option("script_location", str(place).replace("%", "%%"))
    return found


@cache
def head() -> str:
    """Return the newest version that this code knows."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


def is_known(version: str) -> bool:
    """Return whether this code can upgrade a database from the version."""
    return version in {known.revision for known in ScriptDirectory.from_config(config()).walk_revisions()}


def current(tx: Connection) -> str | None:
    """Return the database's version; None when it has no tables yet."""
    return MigrationContext.configure(tx).get_current_revision()


def check(tx: Connection) -> None:
    """Raise WrongSchema unless the tables are of the version that this code was written for."""
    found, wanted = current(tx), head()
    if found == wanted:
        return
    if found is not None and not is_known(found):
        raise WrongSchema(
            f"the database is at {found}, and this version of Darkroom knows {wanted}: upgrade the program"
        )
    raise WrongSchema(f"the database is at {found or 'nothing'}, and {wanted} is needed: run `darkroom migrate`")
