"""`darkroom pause`: a batch, or those of a filter, are held back until they are resumed."""

from worker.cli.batches import bulk_commands
from worker.cli.batches.selection import Typed
from worker.core.rules.batch_state import BatchAction


@bulk_commands.command
def pause(typed: Typed) -> None:
    """Pause batches: no further job starts until `darkroom resume`; jobs in progress continue.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    bulk_commands.act(typed, BatchAction.PAUSE)
