"""`darkroom pause`: a batch, or those of a filter, are held back until they are resumed."""

from worker.cli import acting
from worker.cli.selecting import Typed
from worker.domain.batch_state import BatchAction


@acting.command
def pause(typed: Typed) -> None:
    """Pause batches: no further job starts until `darkroom resume`; jobs in progress continue.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    acting.act(typed, BatchAction.PAUSE)
