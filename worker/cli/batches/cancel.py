"""`darkroom cancel`: nothing more of a batch, or of those of a filter, is begun."""

from worker.cli.batches import bulk_commands
from worker.cli.batches.selection import Typed
from worker.core.rules.batch_state import BatchAction


@bulk_commands.command
def cancel(typed: Typed) -> None:
    """Cancel batches: unsent jobs are dropped; generations at the provider are paid for and downloaded.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are cancelled.
    """
    bulk_commands.act(typed, BatchAction.CANCEL)
