"""`darkroom migrate`, and the same for commands that start a Darkroom: the tables are brought up to date."""

from worker.cli import output

UNKNOWN_VERSION = (
    "the database is at {found}, which this version of Darkroom does not know: use the version that it was last used"
    " with, or a newer one"
)


def migrate(as_json: output.AsJson = False) -> None:
    """Bring the database's tables to the version of this program, from any earlier one.

    Refused while nodes are alive that would not work with them.
    """
    from worker import wiring
    from worker.cli.context import resolve
    from worker.core.db import schema

    settings = resolve().settings
    assert settings.database_url is not None
    database = wiring.database(settings, connections=1)
    with database.transaction() as tx:
        before = schema.current(tx)
    upgrade(settings.database_url.get_secret_value())
    database.close()
    if as_json:
        output.print_json({"before": before, "after": schema.head()})
    elif before == schema.head():
        output.answers().print(f"The database is at {before}, the newest version.")
    else:
        output.answers().print(f"The database went from {before or 'nothing'} to {schema.head()}.")


def upgrade(url: str) -> None:
    """Bring the database to the newest version; does nothing when it is there.

    Raises:
        CliError: The database is at a version that this code does not know.
    """
    from alembic import command
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    from worker.cli.errors import CliError
    from worker.core.db import schema

    config = schema.config()
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        raise CliError(UNKNOWN_VERSION.format(found=f"version {error.__cause__.argument!r}")) from error
