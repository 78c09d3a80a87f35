"""Before money is spent: say how much, and ask whoever sits there."""

import sys

import typer
from rich.console import Console

from worker.cli import output
from worker.cli.context import Context
from worker.cli.errors import MISUSED, CliError


def expect_somebody(context: Context, *, yes: bool) -> None:
    """Raise CliError when it will cost something and nobody can be asked: before anything else has been done."""
    is_asked = yes or context.is_play or (sys.stdin.isatty() and sys.stderr.isatty())
    if not is_asked:
        raise CliError("this spends credits and nobody can be asked here: add --yes", MISUSED)


def confirm(context: Context, what: str, *, yes: bool, console: Console | None = None) -> bool:
    """Say the price and ask; the sandbox is free, so it is not asked about. Raises CliError with nobody to ask."""
    console = console or output.notes()
    if context.is_play:
        console.print(f"{what} of the sandbox's, which cost nothing.", markup=False)
        return True
    console.print(f"{what}, paid at {context.settings.base_url}.", markup=False)
    if yes:
        return True
    expect_somebody(context, yes=yes)
    return typer.confirm("Spend them?", default=False, err=True)
