"""`darkroom down`: end what runs in a home."""

import os
import signal
import time
from contextlib import nullcontext
from typing import Annotated

import typer

from worker.cli import output

_LOOK_S = 0.1


def down(
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for nodes to finish the jobs in progress.")
    ] = 90,
    as_json: output.AsJson = False,
) -> None:
    """End `darkroom up` and the embedded services of this home, as Ctrl-C in its terminal does.

    Nodes finish what they have begun. Exit status 1 if something still runs after the timeout.
    """
    from worker.cli.context import home
    from worker.cli.local import running, service_lock
    from worker.local import services

    place = home()
    found = running.read(place)
    for each in found:
        os.kill(each.pid, signal.SIGTERM)
    console, until = output.notes(), time.monotonic() + timeout
    with console.status("nodes finish the jobs in progress ...") if console.is_terminal else nullcontext():
        while any(map(running.is_alive, found)) and time.monotonic() < until:
            time.sleep(_LOOK_S)
    left = [each.pid for each in found if running.is_alive(each)]
    was = None
    if not left:
        if (place / "run").exists():
            service_lock.mark_stopped(place)
        was = services.stop(place)
    stopped = ["up"] * (len(found) - len(left)) + [name for name, each in vars(was).items() if each] if was else []
    if as_json:
        output.print_json({"home": str(place), "stopped": stopped, "running": left})
    elif left:
        console.print(f"still running after {timeout:.0f} s: process {', '.join(map(str, left))}", markup=False)
    else:
        output.answers().print(
            f"stopped: {', '.join(stopped)}" if stopped else f"nothing was running in {place}{running.elsewhere()}",
            markup=False,
        )
    if left:
        raise typer.Exit(1)
