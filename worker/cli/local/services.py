"""`darkroom services`, `env`: the embedded servers, what others need to use them, and who stops them last."""

import fcntl
import shlex
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from worker.cli import output


def start(as_json: output.AsJson = False) -> None:
    """Start both servers, migrate the database, and print the variables to export.

    `export $(darkroom services start)`, then `darkroom node` runs a node.
    """
    from worker.cli.context import resolve
    from worker.cli.local import parts

    context = parts.start_services(resolve(needs_database=False), stays=True)
    parts.migrate_database(context)
    found = context.variables() | (context.provider_variables() if context.is_home_sandbox else {})
    if as_json:
        output.print_json(found)
    else:
        for name, value in found.items():
            output.answers().print(f"{name}={value}", markup=False, soft_wrap=True)


def stop(as_json: output.AsJson = False) -> None:
    """Stop both servers; succeeds if none is running."""
    from worker.cli.context import home
    from worker.local import services

    place = home()
    if (place / "run").exists():
        mark_stopped(place)
    was = services.stop(place)
    stopped = [name for name, found in (("postgres", was.postgres), ("valkey", was.valkey)) if found]
    if as_json:
        output.print_json({"stopped": stopped})
    elif stopped:
        output.answers().print(f"stopped: {', '.join(stopped)}")
    else:
        output.answers().print("nothing was running")


def status(as_json: output.AsJson = False) -> None:
    """Show which of the servers are running."""
    from dataclasses import asdict

    from rich.text import Text

    from worker.cli.context import home
    from worker.local import services

    place = home()
    found = services.status(place)
    if as_json:
        shown = {name: each and asdict(each) for name, each in vars(found).items()}
        output.print_json({"home": str(place), "running": all(shown.values()), **shown})
        return
    table = output.table("server", "state", "port", "process")
    for name, each in (("postgres", found.postgres), ("valkey", found.valkey)):
        if each is None:
            table.add_row(name, Text("stopped", style="dim"), "", "")
        else:
            table.add_row(name, Text("running", style="green"), str(each.port), str(each.pid))
    output.answers().print(f"home {place}", markup=False)
    output.answers().print(table)


class ServiceLock:
    """One process that uses the services of a home."""

    def __init__(self, home: Path) -> None:
        """Come in."""
        self._home = home
        (home / "run").mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (home / "run" / "guests.lock").open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """Release it; True when no other process holds it and the services are not persistent."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return _passing(self._home).exists()
        finally:
            self._file.close()


def mark_ephemeral(home: Path) -> None:
    """Record that the services were started by a guest, and end with the last one."""
    _passing(home).touch()
    _stopped(home).unlink(missing_ok=True)


def mark_persistent(home: Path) -> None:
    """Record that the services are persistent: they run until they are stopped."""
    _passing(home).unlink(missing_ok=True)
    _stopped(home).unlink(missing_ok=True)


def mark_stopped(home: Path) -> None:
    """Record that the services were stopped on purpose: other processes do not start them again."""
    _passing(home).unlink(missing_ok=True)
    _stopped(home).touch()


def were_stopped(home: Path) -> bool:
    """Whether the services do not run because they were stopped on purpose."""
    return _stopped(home).exists()


def _passing(home: Path) -> Path:
    return home / "run" / "services.passing"


def _stopped(home: Path) -> Path:
    return home / "run" / "services.stopped"


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
