"""The command line of Darkroom: ``main`` is what the console script ``darkroom`` calls."""


def main() -> None:
    """Run the command line, which is loaded only now: child processes import this package too."""
    from worker.cli.app import main as run

    run()
