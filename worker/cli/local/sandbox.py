"""`darkroom sandbox`: the stand-in for the provider, alone and in the foreground."""

import os
import sys
from pathlib import Path

import typer

_TIMEOUT_S = 10


DEFAULT_CREDITS = 10_000


def sandbox(context: typer.Context) -> None:
    """Run the sandbox provider alone; options such as --port and --state go to it, --help lists them.

    `darkroom sandbox top-up [CREDITS]` puts credits into the wallet of the sandbox that runs in this home.
    """
    import worker

    if context.args[:1] == ["top-up"]:
        _top_up(context.args[1:])
        return
    from worker.cli.local import parts

    parts.require_sandbox()
    packages = str(Path(worker.__path__[0]).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "ops.sandbox", *context.args])  # noqa: S606 - our own module


def _top_up(arguments: list[str]) -> None:
    import requests

    from worker.cli import output
    from worker.cli.context import home
    from worker.cli.errors import MISUSED, CliError
    from worker.cli.local import sandbox_record

    text = arguments[0] if arguments else str(DEFAULT_CREDITS)
    if len(arguments) > 1 or not text.isdecimal() or not int(text):
        raise CliError("write `darkroom sandbox top-up CREDITS` with a whole number above 0", MISUSED)
    found = sandbox_record.running(home())
    if found is None:
        raise CliError(f"no sandbox runs in {home()}: `darkroom up` starts one")
    try:
        answer = requests.post(
            f"{found.url}/sandbox/wallet",
            json={"add": int(text)},
            headers={"Authorization": f"Bearer {found.key}"},
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        available = int(answer.json()["available"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise CliError(f"the sandbox did not take the credits: {error}") from error
    output.answers().print(f"{available:,} sandbox credits available.")
