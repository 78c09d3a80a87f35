"""The whole command: its groups, its version, and the one place where an error becomes a sentence."""

import os
import sys
from typing import Annotated

import typer

from worker.cli.commands import ROOT
from worker.cli.lazy import group_class

app = typer.Typer(
    name="darkroom",
    help=ROOT.summary,
    cls=group_class(ROOT),
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
