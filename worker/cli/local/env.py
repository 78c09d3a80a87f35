"""`darkroom env`: what a process outside Darkroom needs in its environment to use the same parts."""

import shlex
from enum import StrEnum
from typing import Annotated

import typer

from worker.cli import output


class Form(StrEnum):
    """How the variables are written."""

    SHELL = "shell"
    """``export NAME=value`` for a POSIX shell."""
    DOTENV = "dotenv"
    """``NAME=value``, as ``.env`` files and compose read it."""


def env(
    form: Annotated[Form, typer.Option("--format", "-f", help="For a shell, or for .env files.")] = Form.SHELL,
    as_json: output.AsJson = False,
) -> None:
    """Print the environment that other processes need, with passwords: eval "$(darkroom env)"."""
    from worker.cli.context import resolve

    context = resolve()
    found = context.variables() | (context.provider_variables() if context.is_home_sandbox else {})
    if as_json:
        output.print_json(found)
        return
    for name, value in found.items():
        line = f"export {name}={shlex.quote(value)}" if form is Form.SHELL else f"{name}={_quoted(value)}"
        typer.echo(line)


def _quoted(value: str) -> str:
    """Quote a value that a reader of .env files would cut or expand."""
    if not any(char in value for char in " #\"'$\\\n"):
        return value
    return "'" + value.replace("'", "\\'") + "'"
