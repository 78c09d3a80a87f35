"""`darkroom up`, `down`: a whole Darkroom in the foreground until Ctrl-C, and its end from elsewhere."""

import os
import signal
import time
from contextlib import nullcontext
from typing import Annotated

import typer

from worker.cli import output

_TICK_S = 0.2


def up(
    nodes: Annotated[int, typer.Option(min=1, max=64, help="How many worker nodes, each a process.")] = 1,
    web: Annotated[bool, typer.Option("--web/--no-web", help="Serve the HTTP API and the pages too.")] = True,
) -> None:
    """Run services, migrations, sandbox (without a key) and worker nodes until Ctrl-C, which drains."""
    from rich.text import Text

    from worker.cli.local.interrupts import Stopped, stoppable
    from worker.cli.local.stack import LocalStack

    console = output.notes()

    def say(part: str, words: str) -> None:
        console.print(Text(f"{part:>10}  ", style="bold"), Text(words), sep="", end="\n", soft_wrap=True)

    try:
        with stoppable(), LocalStack(say, nodes=nodes, is_up=True, has_web=web) as stack:
            stack.start_nodes()
            stack.start_web()
            say("ready", "in another terminal: darkroom submit MANIFEST --wait; Ctrl-C ends this")
            while True:
                stack.supervise()
                time.sleep(_TICK_S)
    except Stopped:
        return


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
    from worker.cli.local import running
    from worker.cli.local import services as local_services
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
            local_services.mark_stopped(place)
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
