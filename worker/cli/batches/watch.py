"""`darkroom watch`: follow a batch live until it is done."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output

if TYPE_CHECKING:
    from rich.console import Console

    from worker.batches.queries.overview import Overview
    from worker.cli.context import Context
    from worker.core.db.session import Database
    from worker.engine.queries.batches import BatchRow

INTERRUPTED = 130
"""How a command ends that was told to by Ctrl-C."""


def watch(
    batch: Annotated[
        str | None,
        typer.Argument(metavar="[BATCH]", help="A batch: its id, token or name. Without: the newest one."),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Follow a batch live until it is done; exit status 1 if a job ended without an image."""
    from worker import wiring
    from worker.batches import views
    from worker.cli import lookup
    from worker.cli.context import resolve
    from worker.cli.health import serving

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    row = _chosen(database, batch)
    if lookup.overview_of(database, row).is_open:
        serving.warn_without_node(context, database)
    found = follow(context, database, row)
    if as_json:
        output.print_json(views.batch(found))
    raise typer.Exit(exit_code(found))


def follow(context: "Context", database: "Database", row: "BatchRow") -> "Overview":
    """Show the batch's progress on standard error until it is done; Ctrl-C ends only the looking."""
    from worker.cli import lookup
    from worker.cli.batches.progress import Progress
    from worker.cli.health import nodes

    console = output.notes()
    progress = Progress(lambda: lookup.overview_of(database, row), console, why_still=lambda: nodes.why_still(context))
    try:
        found = progress.follow()
    except KeyboardInterrupt:
        console.print(f"\nThe batch continues: `darkroom watch {row.id}` shows it again.", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    say_what_waits(found, console)
    for odd in found.not_as_ordered:
        console.print(f"Not as ordered: {odd}.", markup=False)
    return found


def say_what_waits(found: "Overview", console: "Console") -> None:
    """Print how many jobs wait in vain, if any do, and why."""
    if not found.is_done and found.obstacle:
        waiting = output.plural(found.batch.size - found.ended, "job")
        until = f" before {found.obstacle.next_step}" if found.state == "paused" else ""
        console.print(f"{waiting} will not be rendered{until}: {found.obstacle.reason}.", markup=False)


def exit_code(found: "Overview") -> int:
    """0 when every job of the batch has its image."""
    return 0 if found.is_done and found.lacking == 0 and found.state != "refused" else 1


def _chosen(database: "Database", name: str | None) -> "BatchRow":
    from worker.cli import lookup
    from worker.cli.errors import CliError
    from worker.engine.queries import batches

    with database.transaction() as tx:
        if name is not None:
            return lookup.batch(tx, name)
        newest = batches.newest(tx, limit=1)
    if not newest:
        raise CliError("there is no batch yet: `darkroom submit MANIFEST` creates one")
    return newest[0]
