"""The command line of Darkroom: ``main`` is what the console script ``darkroom`` calls."""

import gc

_THRESHOLD = 50_000
"""New objects between two collections of garbage. Imports make many objects and next to no garbage: with Python's own
700 the collector takes a seventh of the CPU time of a short command."""


def main() -> None:
    """Run the command line, which is loaded only now: child processes import this package too."""
    gc.set_threshold(_THRESHOLD)
    from worker.cli.app import main as run

    run()
