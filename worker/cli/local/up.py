"""`darkroom up`: a whole Darkroom in the foreground, until Ctrl-C."""

import time
from typing import Annotated

import typer

from worker.cli import output

_TICK_S = 0.2


def up(
    nodes: Annotated[int, typer.Option(min=1, max=64, help="How many worker nodes, each a process.")] = 1,
) -> None:
    """Run services, migrations, sandbox (without a key) and worker nodes until Ctrl-C, which drains."""
    from rich.text import Text

    from worker.cli.local.interrupts import Stopped, stoppable
    from worker.cli.local.stack import LocalStack

    console = output.notes()

    def say(part: str, words: str) -> None:
        console.print(Text(f"{part:>10}  ", style="bold"), Text(words), sep="", end="\n", soft_wrap=True)

    try:
        with stoppable(), LocalStack(say, nodes=nodes, is_up=True) as house:
            house.start_nodes()
            say("ready", "in another terminal: darkroom submit MANIFEST --wait; Ctrl-C ends this")
            while True:
                house.tend()
                time.sleep(_TICK_S)
    except Stopped:
        return
