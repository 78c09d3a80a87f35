"""Review by several people at once, image by image or many as a bulk operation; decisions wait to be applied.

Each reviewer gets images of their own. A decision on many images is frozen with its filter and saved image by image, as
a reviewer saves it: nothing goes live before all that are saved are applied together, and a
reviewer who looks at an image, or has decided on it, is not overruled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from worker.batches.bulk_operations import tell_previewed
from worker.batches.queries import bulk_operations
from worker.batches.queries.bulk_operations import Claimed, ImageTarget, OperationRow
from worker.batches.rules.bulk_operation import BulkAction
from worker.catalog import decisions
from worker.catalog.decisions import Effect
from worker.catalog.queries import review, review_queue, saved_decisions
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.review_queue import BEFORE_ALL, ImageFilter, Place, Queue, Queued, Show
from worker.catalog.queries.saved_decisions import Saved
from worker.catalog.rules.decisions import Decision, Verdict, reason_of
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.storage.store import Store

LEASE = timedelta(seconds=30)
"""For so long an image belongs to the reviewer who looks at it; their page renews that."""
_TRIES = 20


class DecidedMeanwhile(DarkroomError):
    """The image is not as the reviewer saw it; nothing was saved."""

    error_code = "decided_meanwhile"

    def __init__(self, by: str, said: str) -> None:
        """Keep who decided, and what."""
        super().__init__(by, said)
        self.by, self.said = by, said

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.by} {self.said} meanwhile: your decision was not saved"


class ClaimedByAnother(DarkroomError):
    """Another reviewer has the image open; nothing was saved."""

    error_code = "image_claimed"

    def __init__(self, by: str) -> None:
        """Keep who has it."""
        super().__init__(by)
        self.by = by

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.by} is looking at this image: your decision was not saved"


class DecisionRefused(DarkroomError):
    """A decision that could not take effect; nothing was saved."""

    error_code = "decision_refused"

    def __init__(self, reason: str) -> None:
        """Keep why."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


@dataclass(frozen=True, kw_only=True)
class Session:
    """One reviewer at one catalog, for one request."""

    database: Database
    store: Store
    queue: Queue

    def open(self, render_id: UUID, *, is_claimed: bool = True) -> Queued | None:
        """Return an image, claimed if no other reviewer has it; None when it waits no longer."""
        with self.database.transaction() as tx:
            found = self.queue.one(tx, render_id)
            if found is not None and is_claimed:
                self._claim(tx, found)
            return found

    def begin(self, show: Show, *, is_claimed: bool = True) -> Queued | None:
        """Return the undecided image that the reviewer has already, else the first one."""
        if show is Show.UNDECIDED and is_claimed:
            with self.database.transaction() as tx:
                held = self.queue.held(tx)
                if held is not None and self._claim(tx, held):
                    return held
        return self.move(BEFORE_ALL, show, is_claimed=is_claimed)

    def move(self, place: Place, show: Show, *, is_back: bool = False, is_claimed: bool = True) -> Queued | None:
        """Return the next image from a place, claimed; undecided ones are gone through in a circle."""
        for _ in range(_TRIES):
            with self.database.transaction() as tx:
                found = self.peek(tx, place, show, is_back=is_back)
                if found is None or not is_claimed:
                    return found
                # Another reviewer was given it since it was read: the next look finds another one.
                if self._claim(tx, found) or show is not Show.UNDECIDED:
                    return found
        return None

    def peek(self, tx: Connection, place: Place, show: Show, *, is_back: bool = False) -> Queued | None:
        """Return the image that ``move`` would try next."""
        found = (self.queue.before if is_back else self.queue.after)(tx, place, show)
        if found is None and show is Show.UNDECIDED and not is_back:
            found = self.queue.after(tx, BEFORE_ALL, show)
        return found

    def _claim(self, tx: Connection, image: Queued) -> bool:
        """Claim the image, and give up what the reviewer looked at before."""
        if not self._claimed(tx, image.candidate.render_id):
            return False
        saved_decisions.release(tx, self.queue.reviewer, now=self.queue.now, kept=image.candidate.render_id)
        return True

    def _claimed(self, tx: Connection, render_id: UUID) -> bool:
        queue = self.queue
        return saved_decisions.claim(tx, render_id, actor=queue.reviewer, lease_until=queue.now + LEASE, now=queue.now)

    def renew(self, render_id: UUID, *, seen: int) -> bool:
        """Renew the claim; False when another reviewer has the image, or it is not as it was seen."""
        with self.database.transaction() as tx:
            found = self.queue.one(tx, render_id)
            if found is None or _number(found.saved) != seen:
                return False
            return self._claimed(tx, render_id)

    def save(self, decision: Decision, *, seen: int) -> Queued | None:
        """Save a decision on an image as the reviewer saw it; ``seen`` is the number of the one shown, 0: none.

        Returns the image as it stood; None when the catalog has none of that id. Locks its item. Raises
        DecidedMeanwhile, ClaimedByAnother, and DecisionRefused for what could not take effect.
        """
        queue = self.queue
        reason = decisions.objection(self.database, self.store, queue.catalog_id, decision, now=queue.now)
        with self.database.transaction() as tx:
            return save_within(tx, queue, decision, seen=seen, objection=lambda: reason)

    def undo(self) -> UUID | None:
        """Undo the reviewer's last decision; returns its image, None when nothing is left to undo."""
        queue = self.queue
        with self.database.transaction() as tx:
            last = saved_decisions.last_of(tx, queue.catalog_id, queue.reviewer)
            if last is None:
                return None
            review.lock_statuses(tx, [last[0]])
            is_undone = saved_decisions.undo(tx, *last, actor=queue.reviewer, now=queue.now)
            return last[0] if is_undone else None

    def apply(self, new_id: Callable[[], UUID]) -> Effect:
        """Apply all saved decisions of the catalog together, each in its author's name."""
        queue = self.queue
        with self.database.transaction() as tx:
            waiting = saved_decisions.waiting(tx, queue.catalog_id)
        return decisions.decide(
            self.database, self.store, queue.catalog_id, waiting, by=queue.reviewer, now=queue.now, new_id=new_id
        )


def save_within(
    tx: Connection, queue: Queue, decision: Decision, *, seen: int, objection: Callable[[], str | None]
) -> Queued | None:
    """Save a decision as `Session.save` does, in the caller's transaction; ``objection`` says why it cannot be."""
    review.lock_statuses(tx, [decision.render_id])
    found = queue.one(tx, decision.render_id)
    if found is None:
        ended = queue.ended(tx, decision.render_id)
        if ended is None:
            return None
        raise DecidedMeanwhile(*ended)
    if found.saved is not None and found.saved.number != seen:
        raise DecidedMeanwhile(found.saved.by, _SAID[found.saved.verdict])
    if found.saved is None and seen:
        raise DecidedMeanwhile("its author", "took the decision back that you saw")
    if found.claimed_by is not None:
        raise ClaimedByAnother(found.claimed_by)
    reason = objection()
    if reason is not None:
        raise DecisionRefused(reason)
    saved_decisions.add(tx, decision, actor=queue.reviewer, now=queue.now)
    return found


_SAID = {Verdict.ACCEPT: "accepted it", Verdict.REJECT: "rejected it"}


def _number(saved: Saved | None) -> int:
    return 0 if saved is None else saved.number


@dataclass(frozen=True, kw_only=True)
class BulkDecision:
    """What is decided about every image that matches."""

    verdict: Verdict
    wanted: ImageFilter


def preview_bulk(database: Database, catalog: CatalogRow, wanted: ImageFilter) -> list[ImageTarget]:
    """Return the undecided images that match; nothing is kept."""
    with database.bulk_transaction() as tx:
        return review_queue.find_targets(tx, catalog.id, catalog.name, wanted)


def create_bulk(
    database: Database,
    by: Author,
    catalog: CatalogRow,
    order: BulkDecision,
    targets: Sequence[ImageTarget] | None = None,
) -> OperationRow:
    """Store an operation with the previewed images, or else with those that match now; it is not started.

    The author's reason is kept with each rejected image; raises UnfitError when it is too long for that.
    """
    reason = reason_of(by.reason)
    operation_id = by.new_id()
    with database.bulk_transaction() as tx:
        bulk_operations.add(
            tx,
            operation_id,
            BulkAction.DECIDE,
            selection={"catalog": catalog.name, **order.wanted.as_json()},
            parameters={"verdict": order.verdict, "catalog_id": str(catalog.id), "reason": reason},
            by=by,
            targets=review_queue.find_targets(tx, catalog.id, catalog.name, order.wanted)
            if targets is None
            else targets,
        )
        found = bulk_operations.read(tx, operation_id)
    assert found is not None
    tell_previewed(found)
    return found


def decide_item(tx: Connection, item: Claimed, by: Author) -> None:
    """Save the decision on one image, in its author's name.

    Raises DecidedMeanwhile, ClaimedByAnother and DecisionRefused. Whether the store has the image is asked when it is
    to go live, and not within this transaction.
    """
    assert item.render_id is not None
    assert item.sku is not None
    verdict = Verdict(item.parameters["verdict"])
    queue = Queue(catalog_id=UUID(item.parameters["catalog_id"]), reviewer=by.actor, now=by.now)
    decision = Decision(
        sku=item.sku,
        render_id=item.render_id,
        verdict=verdict,
        reason=item.parameters["reason"] if verdict is Verdict.REJECT else None,
        said_at=by.now,
    )
    saved = save_within(
        tx,
        queue,
        decision,
        seen=0,
        objection=lambda: decisions.objection_within(tx, queue.catalog_id, decision, now=by.now),
    )
    if saved is None:
        raise DecisionRefused("the catalog has no such image any more")
