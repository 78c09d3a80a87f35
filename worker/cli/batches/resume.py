"""`darkroom resume`: a batch that was paused, or those of a filter, go on."""

from worker.cli.batches import bulk_commands
from worker.cli.batches.selection import Typed
from worker.core.rules.batch_state import BatchAction


@bulk_commands.command
def resume(typed: Typed) -> None:
    """Resume paused batches.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are resumed.
    """
    bulk_commands.act(typed, BatchAction.RESUME)
