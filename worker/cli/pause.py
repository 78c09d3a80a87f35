"""`darkroom pause`: a batch, or those of a filter, are held back until they are resumed."""

from worker.cli import acting
from worker.cli.selecting import Typed
from worker.domain.batch_state import BatchAction


@acting.command
def pause(typed: Typed) -> None:
    """Pause batches: nothing more is begun until `darkroom resume`; what is begun goes on.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    acting.act(typed, BatchAction.PAUSE)
