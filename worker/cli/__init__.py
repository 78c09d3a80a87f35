"""The command line of Darkroom: ``main`` is what the console script ``darkroom`` calls."""

import atexit
import gc
import os

_THRESHOLD = 200_000
"""New objects between two collections of garbage. A short command makes half as many, and all but a few of them stay:
modules, classes, functions. With Python's own 700 the collector takes a seventh of the CPU time of such a command."""


def main() -> None:
    """Run the command line, which is loaded only now: child processes import this package too."""
    gc.set_threshold(_THRESHOLD)
    # Python collects garbage once more when it ends, which takes a quarter of the CPU time of `status`: the process
    # ends with all of its memory, so nothing is left to be found.
    atexit.register(gc.freeze)
    # None is used; looking for plugins among all installed packages takes 4 % of the CPU time of `status`.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from worker.cli.app import main as run

    run()
