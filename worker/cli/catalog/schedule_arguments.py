"""Which schedule a person means, and the database that it is in."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.catalog.queries.schedules import ScheduleRow
    from worker.cli.context import Context
    from worker.core.db.session import Database

ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.")]


def opened() -> "tuple[Context, Database]":
    """Return the context of this process, and its database."""
    from worker import wiring
    from worker.cli.context import resolve

    context = resolve()
    return context, wiring.database(context.settings, connections=1)


def found_schedule(tx: "Connection", name: str, *, or_removed: bool = False) -> "ScheduleRow":
    """Return the schedule of that name; raise CliError when there is none."""
    from worker.catalog.queries import schedules
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    found = schedules.by_name(tx, name, or_removed=or_removed)
    if found is None:
        raise CliError(f"there is no schedule {plain(name)!r}: `darkroom schedule list` shows all")
    return found
