"""The list of batches: filtered, a page at a time, with live progress."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection
from starlette.responses import Response

from worker.batches.queries import job_counts, overview, throughput
from worker.batches.queries.overview import Obstacle
from worker.batches.queries.throughput import MeasuredPace
from worker.core.rules.states import ENDED_JOBS, JobState
from worker.engine.queries.batches import BatchRow, Place
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import batch_list
from worker.web.queries.batch_list import Filter, Split
from worker.web.rules import cursor, wording

_PAGE = 25
TABS = (
    ("", "All"),
    ("open", "Open"),
    ("paused", "Paused"),
    ("failed", "With failures"),
    ("in_doubt", "In doubt"),
    ("done", "Done"),
    ("cancelled", "Cancelled"),
    ("refused", "Refused"),
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One batch of the list."""

    row: BatchRow
    jobs: Mapping[JobState, int]
    split: Split
    committed: int
    state: str
    obstacle: Obstacle | None
    left: str

    @property
    def ended(self) -> int:
        """How many jobs have reached an end state."""
        return sum(self.jobs[state] for state in ENDED_JOBS)

    @property
    def parts(self) -> list[tuple[str, int]]:
        """The parts of its bar by class, what has ended first."""
        return [
            ("done", self.jobs[JobState.SUCCEEDED]),
            ("bad", self.jobs[JobState.FAILED] + self.jobs[JobState.CANCELLED]),
            ("doubt", self.jobs[JobState.IN_DOUBT]),
            ("fetch", self.split.fetching),
            ("seen", self.split.ended_there),
            ("away", self.split.at_provider),
        ]


def show(visit: Visit) -> Response:
    """Show the page, or its list alone when that is refreshed."""
    state = visit.asked("state")
    if state not in {value for value, _ in TABS}:
        raise Problem(404, "not_found", f"There is no list of batches that are {state!r}.")
    wanted = Filter(
        state=state or None, owner=visit.asked("owner") or None, words=visit.asked("q").replace("\0", "") or None
    )
    after = place(visit.asked("after"))
    with visit.context.database.transaction() as tx:
        found = batch_list.page(tx, wanted, after=after, limit=_PAGE + 1)
        counts = batch_list.count(tx, wanted)
        owners = batch_list.owners(tx)
        listed = look(visit, tx, found[:_PAGE])
    last = found[_PAGE - 1][0].place if len(found) > _PAGE else None
    return visit.render(
        "batches.html",
        wanted=wanted,
        counts=counts,
        tabs=TABS,
        owners=owners,
        batches=listed,
        next=None if last is None else cursor.encode(last.created_at.isoformat(), last.id),
        is_first=after is None,
    )


def place(text: str) -> Place | None:
    """Return where a page begins; raise Problem for what no page gave."""
    if not text:
        return None
    try:
        created_at, batch_id = cursor.decode(text, parts=2)
        return Place(created_at=datetime.fromisoformat(created_at).astimezone(UTC), id=UUID(batch_id))
    except (ValueError, OverflowError):
        raise Problem(404, "not_found", "This page of the list is not known: begin at the newest batches.") from None


def look(visit: Visit, tx: Connection, found: list[tuple[BatchRow, int]]) -> list[Listed]:
    """Return the state of the batches, read together."""
    jobs = job_counts.of_batches(tx, [row.id for row, _ in found])
    split = batch_list.split(tx, jobs)
    obstacles = overview.obstacles(
        tx,
        [row for row, _ in found if _remaining(jobs[row.id])],
        now=visit.now,
        wallet_floor=visit.context.settings.wallet_floor,
        active=[batch_id for batch_id, states in jobs.items() if states[JobState.ACTIVE]],
    )
    paces: dict[UUID, MeasuredPace] = {}
    return [
        _listed(tx, row, committed, jobs[row.id], split[row.id], obstacles.get(row.id), paces)
        for row, committed in found
    ]


def _remaining(jobs: Mapping[JobState, int]) -> int:
    return jobs[JobState.PENDING] + jobs[JobState.ACTIVE]


def _listed(
    tx: Connection,
    row: BatchRow,
    committed: int,
    jobs: Mapping[JobState, int],
    split: Split,
    obstacle: Obstacle | None,
    paces: dict[UUID, MeasuredPace],
) -> Listed:
    left, state = "", overview.display_state(row.state, jobs, obstacle)
    if state == "running":
        whose = row.account_id if row.pool is None else row.id
        if whose not in paces:
            paces[whose] = throughput.of_batch(tx, row)
        left = time_left(paces[whose], _remaining(jobs))
    return Listed(row=row, jobs=jobs, split=split, committed=committed, state=state, obstacle=obstacle, left=left)


def time_left(pace: MeasuredPace, images: int) -> str:
    """Return how long so many images take, alone on their account, and between which bounds."""
    return _about(pace, images, 0, " left")


def duration(pace: MeasuredPace, images: int, *, uploads: int) -> str:
    """Return how long so many images with so many references to upload would take, and between which bounds."""
    return _about(pace, images, uploads, "")


def _about(pace: MeasuredPace, images: int, uploads: int, left: str) -> str:
    about = wording.span(pace.duration_s(images, uploads=uploads))
    bounds = pace.range_s(images, uploads=uploads)
    if bounds is None:
        return f"about {about}{left}"
    low, high = map(wording.span, bounds)
    return f"about {about}{left}" if low == high else f"about {about}{left}, {low} to {high}"
