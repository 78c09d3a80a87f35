"""`darkroom cancel`: nothing more of a batch, or of those of a filter, is begun."""

from worker.cli import acting
from worker.cli.selecting import Typed
from worker.domain.batch_state import BatchAction


@acting.command
def cancel(typed: Typed) -> None:
    """Cancel batches: unsent jobs are dropped; generations at the provider are paid for and downloaded.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are cancelled.
    """
    acting.act(typed, BatchAction.CANCEL)
