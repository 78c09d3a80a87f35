"""One cell as exact text."""

from datetime import UTC, datetime

from worker.audit.reports.report import Cell


class Unfit(Exception):
    """This report cannot be printed in this format; the text says why and what to do."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return self.reason


def exact(cell: Cell) -> str:
    """Return the cell in full: nothing is empty, an instant has its microseconds."""
    if cell is None:
        return ""
    return instant(cell) if isinstance(cell, datetime) else str(cell)


def instant(value: datetime) -> str:
    """Return an instant as ISO 8601 in UTC, always with six places, so that texts sort as times do."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
