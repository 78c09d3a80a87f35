"""Images whose jobs have ended become candidates, or live where nobody has to look.

It runs anywhere, any number of times: what was taken in once is not found again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.catalog.going_live import go_live
from worker.catalog.queries import catalogs, renders
from worker.catalog.rules.catalog import RenderState
from worker.core.db.session import Database

ACTOR = "darkroom"
"""Who lets an image go live that nobody has to look at."""
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """How many images were found finished, by what became of them."""

    live: int = 0
    candidates: int = 0
    failed: int = 0

    def __add__(self, other: "Harvest") -> "Harvest":
        """Return both together."""
        return Harvest(
            live=self.live + other.live,
            candidates=self.candidates + other.candidates,
            failed=self.failed + other.failed,
        )


def harvest(database: Database, *, now: datetime, new_id: Callable[[], UUID]) -> Harvest:
    """Take in every image whose job has ended; a catalog that somebody is changing is left for the next time."""
    with database.transaction() as tx:
        waiting = renders.finished_catalogs(tx)
    total = Harvest()
    for catalog_id in waiting:
        while (part := _portion(database, catalog_id, now=now, new_id=new_id)) is not None:
            total += part
    return total


def _portion(database: Database, catalog_id: UUID, *, now: datetime, new_id: Callable[[], UUID]) -> Harvest | None:
    """Take in some images of one catalog in one transaction; None when there are none, or it is locked."""
    with database.transaction() as tx:
        if not catalogs.try_lock_only(tx, catalog_id):
            return None
        found = renders.finished(tx, catalog_id, limit=_AT_ONCE)
        if not found:
            return None
        renders.settle(tx, [each.id for each in found])
        renders.let_wait(tx, [each.id for each in found if each.is_odd and not each.needs_review])
        free = [each.id for each in found if each.has_image and not each.needs_review and not each.is_odd]
        live = go_live(
            tx, free, states=(RenderState.CANDIDATE,), actor=ACTOR, reason="no review", now=now, new_id=new_id
        )
        with_image = sum(each.has_image for each in found)
        return Harvest(live=len(live), candidates=with_image - len(live), failed=len(found) - with_image)
