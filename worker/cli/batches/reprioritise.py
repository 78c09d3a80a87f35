"""`darkroom reprioritise`: a batch, or those of a filter, have their turn in another class or with another weight."""

from typing import Annotated

import typer

from worker.cli.batches import bulk_commands
from worker.cli.batches.selection import Typed
from worker.cli.errors import MISUSED, CliError
from worker.core.rules.batch_request import Priority
from worker.core.rules.batch_state import BatchAction


@bulk_commands.command
def reprioritise(
    typed: Typed,
    to: Annotated[Priority | None, typer.Option("--to", help="The class in which its jobs have their turn.")] = None,
    weight: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Its share beside the other batches of the class.")
    ] = None,
) -> None:
    """Change the priority class or the weight of batches; it applies to their pending jobs at once.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are changed.
    """
    if to is None and weight is None:
        raise CliError("say what to change: --to interactive, refresh or bulk, or --weight N, or both", MISUSED)
    bulk_commands.act(typed, BatchAction.REPRIORITISE, priority=to, weight=weight)
