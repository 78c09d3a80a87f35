"""How requests become a batch: all checked and their references stored first, then written in one transaction."""

from worker.intake.prepare import Prepared, prepare
from worker.intake.write import Receipt, RequestsRefused, TokenTaken, write, write_refused

__all__ = ["Prepared", "Receipt", "RequestsRefused", "TokenTaken", "prepare", "write", "write_refused"]
