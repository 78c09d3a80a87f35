"""The events of budgets that are nearly or wholly used: each once for every cap that a batch or a month has."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection

from worker.core.db import outbox
from worker.core.rules import events

BEFORE_ANY = -1
"""What is less than every budget's use: for a cap that was changed, every threshold below counts as reached now."""


def of_batch(tx: Connection, batch: Mapping[str, str], *, before: int, after: int, cap: int, price: int = 1) -> None:
    """Write the events of the thresholds that a batch, which is locked, reaches by committing from before to after."""
    about = {"scope": "batch", "owner": batch["owner"], "month": None, "batch": dict(batch)}
    _tell(tx, about, f"batch:{batch['id']}", before=before, after=after, cap=cap, price=price)


def of_owner(tx: Connection, owner: str, month: date, *, before: int, after: int, cap: int, price: int = 1) -> None:
    """Write the events of the thresholds that an owner reaches in a month."""
    about = {"scope": "owner", "owner": owner, "month": f"{month:%Y-%m}", "batch": None}
    _tell(tx, about, f"owner:{owner}:{month:%Y-%m}", before=before, after=after, cap=cap, price=price)


def _tell(
    tx: Connection, about: Mapping[str, Any], subject: str, *, before: int, after: int, cap: int, price: int
) -> None:
    for reached in events.crossed(before=before, after=after, cap=cap, price=price):
        data = {**about, "credits": {"committed": after, "cap": cap}}
        outbox.emit(tx, reached, data, subject=subject, once_key=f"{subject}:{cap}")
