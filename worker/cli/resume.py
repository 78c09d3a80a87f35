"""`darkroom resume`: a batch that was paused, or those of a filter, go on."""

from worker.cli import acting
from worker.cli.selecting import Typed
from worker.domain.batch_state import BatchAction


@acting.command
def resume(typed: Typed) -> None:
    """Resume paused batches.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are resumed.
    """
    acting.act(typed, BatchAction.RESUME)
