"""The whole command: its groups, its version, and the one place where an error becomes a sentence."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from worker.cli import streams
from worker.cli.commands import ROOT
from worker.cli.lazy import group_class

app = typer.Typer(
    name="darkroom",
    help=ROOT.summary,
    epilog=ROOT.epilog,
    cls=group_class(ROOT),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the process ends with 0 (done), 1 (not, or not all) or 2 (usage, settings)."""
    streams.prepare()
    try:
        _run()
        streams.finish()
    except Exception as error:
        if streams.is_reader_gone(error):
            streams.exit_quietly()
        if os.environ.get("DARKROOM_DEBUG", "0") not in {"", "0"}:
            raise
        from worker.cli.errors import explain

        streams.finish_or_give_up()
        said = explain(error)
        print(said.text, file=sys.stderr)  # noqa: T201 - rich would take brackets in a message for its markup
        sys.exit(said.exit_code)


def _run() -> None:
    """Run the command; typer ends the process by itself, and does not flush."""
    if unreadable := next((each for each in sys.argv[1:] if not _is_text(each)), None):
        from worker.cli.errors import MISUSED, CliError

        raise CliError(f"the argument {unreadable!a} is not UTF-8: write it in UTF-8", MISUSED)
    try:
        app(prog_name="darkroom")
    except SystemExit as ended:
        # typer and rich end with 1 when the reader is gone.
        if ended.__context__ is not None and streams.is_reader_gone(ended.__context__):
            streams.exit_quietly()
        streams.finish()
        raise


def _is_text(argument: str) -> bool:
    """Return whether the shell's bytes were text; a file's name may be anything."""
    return not any("\ud800" <= char <= "\udfff" for char in argument) or Path(argument).exists()


def _print_version(wanted: bool) -> None:
    if wanted:
        from worker.core.version import version

        typer.echo(f"darkroom {version()}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Render images in bulk, and account for every credit."""
