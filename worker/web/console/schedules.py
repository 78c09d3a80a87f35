"""Schedules: what is refreshed when, the next runs in words, and the last ones with what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from worker.catalog.cron import Timing
from worker.catalog.queries import schedule_runs, schedules
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.queries.schedules import ScheduleRow
from worker.web.console.page import Visit

_RUNS = 5
_NEXT = 3


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One schedule with its next and its last runs."""

    row: ScheduleRow
    next_at: Sequence[datetime]
    """Empty while it is paused."""
    runs: Sequence[RunRow]


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        rows = [row for row in schedules.every(tx) if row.removed_at is None]
        found = [
            Schedule(
                row=row,
                next_at=[] if row.paused_at else Timing(cron=row.cron, tz=row.tz).next_times(visit.now, _NEXT),
                runs=schedule_runs.of(tx, row.id, limit=_RUNS),
            )
            for row in rows
        ]
    return visit.render("schedules.html", schedules=found)
