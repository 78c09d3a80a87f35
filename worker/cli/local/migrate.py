"""The database's tables are brought up to date, from any working directory."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

import worker
from worker.cli.errors import CliError


def upgrade(url: str) -> None:
    """Bring the database to the newest version; does nothing when it is there."""
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head")


def head() -> str:
    """The newest version that this code knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    return found or ""


def current(tx: Connection) -> str | None:
    """The database's version; None when it has no tables yet."""
    return MigrationContext.configure(tx).get_current_revision()


def _config() -> Config:
    place = Path(worker.__path__[0]).resolve().parent / "migrations"
    if not (place / "env.py").exists():
        raise CliError(f"the migrations are not where they belong, in {place}: install Darkroom again")
    config = Config()
    config.set_main_option("script_location", str(place).replace("%", "%%"))
    return config
