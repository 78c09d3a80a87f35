"""The whole command: its groups, its version, and the one place where an error becomes a sentence."""

import os
import sys
from typing import Annotated

import typer

from worker.cli import (
    account,
    audit,
    cancel,
    cap,
    catalog,
    correct,
    deadline,
    demo,
    doctor,
    pause,
    reprioritise,
    resolve,
    results,
    resume,
    retry,
    sandbox,
    schedule,
    services,
    sheet,
    status,
    store,
    submit,
    up,
    watch,
)

app = typer.Typer(
    name="darkroom",
    help="Render images in bulk, and prove where every credit went.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the process ends with 0 (done), 1 (not, or not all) or 2 (usage, settings)."""
    try:
        app(prog_name="darkroom")
    except Exception as error:
        if os.environ.get("DARKROOM_DEBUG", "0") not in {"", "0"}:
            raise
        from worker.cli.errors import explain

        said = explain(error)
        print(said.text, file=sys.stderr)  # noqa: T201 - rich would take brackets in a message for its markup
        sys.exit(said.exit_code)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("darkroom")
        except PackageNotFoundError:
            found = "(not installed)"
        typer.echo(f"darkroom {found}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Render images in bulk, and prove where every credit went."""


_START, _BATCHES, _CATALOGS, _MONEY = "Start and stop", "Batches", "Catalogs", "Books and health"

app.command(rich_help_panel=_BATCHES)(submit.submit)
app.command(rich_help_panel=_BATCHES)(status.status)
app.command(rich_help_panel=_BATCHES)(watch.watch)
app.command(rich_help_panel=_BATCHES)(results.results)
app.command(rich_help_panel=_BATCHES)(sheet.sheet)
app.command(rich_help_panel=_BATCHES)(pause.pause)
app.command(rich_help_panel=_BATCHES)(resume.resume)
app.command(rich_help_panel=_BATCHES)(reprioritise.reprioritise)
app.command(rich_help_panel=_BATCHES)(cancel.cancel)
app.command(rich_help_panel=_BATCHES)(deadline.deadline)
app.command(rich_help_panel=_BATCHES)(retry.retry)
app.add_typer(catalog.app, name="catalog", rich_help_panel=_CATALOGS)
app.add_typer(schedule.app, name="schedule", rich_help_panel=_CATALOGS)
app.command(rich_help_panel=_START)(up.up)
app.command(rich_help_panel=_START)(demo.demo)
app.command(rich_help_panel=_START, context_settings=sandbox.PASS_ON)(sandbox.sandbox)
app.add_typer(services.app, name="services", rich_help_panel=_START)
app.add_typer(audit.app, name="audit", rich_help_panel=_MONEY)
app.add_typer(account.app, name="account", rich_help_panel=_MONEY)
app.command(rich_help_panel=_MONEY)(cap.cap)
app.command(rich_help_panel=_MONEY)(resolve.resolve)
app.command(rich_help_panel=_MONEY)(correct.correct)
app.command(rich_help_panel=_MONEY)(doctor.doctor)
app.add_typer(store.app, name="store", rich_help_panel=_MONEY)
