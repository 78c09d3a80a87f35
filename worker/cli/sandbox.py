"""`darkroom sandbox`: the stand-in for the provider, alone and in the foreground."""

import os
import sys
from pathlib import Path

import typer


def sandbox(context: typer.Context) -> None:
    """Run the sandbox provider alone; options such as --port and --state go to it, --help lists them."""
    import worker

    packages = str(Path(worker.__path__[0]).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "ops.sandbox", *context.args])  # noqa: S606 - our own module
