"""What a person decided about new images takes effect: the good ones are live, the others wait for the next plan."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog import planning
from worker.catalog.publishing import go_live
from worker.catalog.queries import catalogs, rejections, renders, review, saved_decisions
from worker.catalog.queries.rejections import Rejected, Rejection
from worker.catalog.queries.review import ReviewStatus
from worker.catalog.rules.catalog import RenderState
from worker.catalog.rules.decisions import Decision, DecisionOutcome, Verdict
from worker.catalog.rules.refresh import content_of
from worker.core.db.session import Database
from worker.intake.rules.request import validate
from worker.storage.store import Store

ACCEPTED = "accepted"
TAKEN_BACK = "accepted after a rejection"
"""Why an image went live."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A decision that could not take effect."""

    sku: str
    render_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The outcome of a set of decisions, by SKU."""

    accepted: tuple[str, ...]
    taken_back: tuple[str, ...]
    """Those of the accepted whose image had been rejected before."""
    rejected: tuple[str, ...]
    passed_over: tuple[str, ...]
    """Those with a later image that waited and was rejected, since an earlier one was taken back."""
    unchanged: tuple[str, ...]
    """Decided the same way before."""
    refused: tuple[Refusal, ...]


def decide(
    database: Database,
    store: Store,
    catalog_id: UUID,
    decisions: Sequence[Decision],
    *,
    by: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Effect:
    """Apply the decisions together; invalid ones are refused one by one, with the reason.

    The live images of all accepted ones change in one statement. Nothing is rendered and nothing is spent. An image
    does not go live whose item has changed since it was asked for, nor one that the store has lost. An image that was
    rejected can be accepted until one that was asked for later is live, except while its item is being rendered again;
    a later one that waits for a decision is rejected by that. A saved decision that was undone or changed meanwhile is
    left out; whichever takes effect ends the saved ones about its image.
    """
    lost = _lost(database, store, decisions)
    with database.transaction() as tx:
        catalog = catalogs.lock(tx, catalog_id)
        render_ids = [each.render_id for each in decisions]
        statuses = review.lock_statuses(tx, render_ids)
        decisions = _still_saved(tx, decisions)
        found = _Sorted(
            catalog_id,
            wanted=planning.current(tx, catalog) if any(each.verdict is Verdict.ACCEPT for each in decisions) else {},
            lost=lost,
            rejected=rejections.newest(tx, render_ids),
            now=now,
        )
        for each in sorted(decisions, key=lambda one: _is_rejected(statuses.get(one.render_id))):
            found.take(each, statuses.get(each.render_id))
        rejections.restore_prompts(tx, found.with_other_prompt)
        changed, rejected = [], []
        for author, its in _by_author(decisions, by):
            publish = partial(go_live, tx, actor=author, now=now, new_id=new_id)
            accepted = [each for each in found.accepted if each in its]
            changed += publish(accepted, states=[RenderState.CANDIDATE], reason=ACCEPTED)
            taken_back = [each for each in found.taken_back if each in its]
            changed += publish(taken_back, states=[RenderState.REJECTED], reason=TAKEN_BACK)
            refused = [each for each in found.rejected if each.render_id in its]
            rejected += rejections.reject(tx, refused, actor=author, now=now, new_id=new_id)
        passed_over = rejections.reject(tx, found.passed_over, actor=by, now=now, new_id=new_id)
        saved_decisions.end(tx, _outcomes(decisions, found), actor=by, now=now)
        again = {each.sku: each.item_id for each in changed if each.render_id in found.taken_back}
        # A later try that failed would be made again by the next plan, in place of an image that is wanted now.
        renders.supersede_undecided(tx, list(again.values()))
    return Effect(
        accepted=tuple(sorted(each.sku for each in changed)),
        taken_back=tuple(again),
        rejected=tuple(sorted(rejected)),
        passed_over=tuple(passed_over),
        unchanged=tuple(found.unchanged),
        refused=tuple(found.refused),
    )


def objection(
    database: Database, store: Store | None, catalog_id: UUID, decision: Decision, *, now: datetime
) -> str | None:
    """Return why this decision would be refused now; ``store`` None: the image's file is not checked."""
    lost = set() if store is None else _lost(database, store, [decision])
    with database.transaction() as tx:
        return objection_within(tx, catalog_id, decision, now=now, lost=lost)


def objection_within(
    tx: Connection, catalog_id: UUID, decision: Decision, *, now: datetime, lost: Collection[UUID] = ()
) -> str | None:
    """Return why this decision would be refused by the database's rows; ``lost`` are images without a file."""
    catalog = catalogs.by_id(tx, catalog_id)
    found = _Sorted(
        catalog_id,
        wanted=planning.current(tx, catalog, [decision.sku]) if decision.verdict is Verdict.ACCEPT else {},
        lost=lost,
        rejected=rejections.newest(tx, [decision.render_id]),
        now=now,
    )
    found.take(decision, review.statuses(tx, [decision.render_id]).get(decision.render_id))
    return found.refused[0].reason if found.refused else None


def _still_saved(tx: Connection, decisions: Sequence[Decision]) -> list[Decision]:
    saved = saved_decisions.current(tx, [each.render_id for each in decisions if each.number is not None])
    numbers = {render_id: each.number for render_id, each in saved.items()}
    return [each for each in decisions if each.number is None or numbers.get(each.render_id) == each.number]


def _by_author(decisions: Sequence[Decision], by: str) -> Iterator[tuple[str, set[UUID]]]:
    """Yield each author with the images that it decided, in the order of names."""
    for author in sorted({each.by or by for each in decisions}):
        yield author, {each.render_id for each in decisions if (each.by or by) == author}


def _outcomes(decisions: Sequence[Decision], found: "_Sorted") -> Iterator[tuple[UUID, int | None, DecisionOutcome]]:
    """Yield the outcome of the saved decisions; a refusal of one that was not saved changes nothing."""
    refused = {each.render_id for each in found.refused}
    for each in decisions:
        if each.render_id not in refused:
            yield each.render_id, each.number, DecisionOutcome.APPLIED
        elif each.number is not None:
            yield each.render_id, each.number, DecisionOutcome.REFUSED
    for rejection in found.passed_over:
        yield rejection.render_id, None, DecisionOutcome.REPLACED


def _lost(database: Database, store: Store, decisions: Sequence[Decision]) -> set[UUID]:
    """Return the accepted images that are not in the store; it is asked with no transaction open."""
    accepted = [each.render_id for each in decisions if each.verdict is Verdict.ACCEPT]
    with database.transaction() as tx:
        statuses = review.statuses(tx, accepted)
    return {each.render_id for each in statuses.values() if each.path is not None and not store.exists(each.path)}


def _is_rejected(status: ReviewStatus | None) -> bool:
    """Whether a decision is about a rejected image; these come last, and give way to what is new."""
    return status is not None and status.state is RenderState.REJECTED


class _Sorted:
    """The decisions by what is to be done about them."""

    def __init__(
        self,
        catalog_id: UUID,
        *,
        wanted: Mapping[str, str],
        lost: Collection[UUID],
        rejected: Mapping[UUID, Rejected],
        now: datetime,
    ) -> None:
        self.accepted: list[UUID] = []
        self.taken_back: list[UUID] = []
        self.with_other_prompt: list[UUID] = []
        """Those taken back whose items have an edited prompt that came with the rejection."""
        self.rejected: list[Rejection] = []
        self.passed_over: list[Rejection] = []
        """Images that wait while an earlier one of their items is taken back."""
        self.unchanged: list[str] = []
        self.refused: list[Refusal] = []
        self._skus: set[str] = set()
        self._catalog_id = catalog_id
        self._wanted = wanted
        self._lost = lost
        self._rejections = rejected
        self._now = now

    def take(self, decision: Decision, status: ReviewStatus | None) -> None:
        if status is None or status.catalog_id != self._catalog_id:
            self._refuse(decision, "this catalog has no such image")
        elif status.is_removed:
            self._refuse(decision, "the item is no longer in the catalog")
        elif status.state is _SAME[decision.verdict] or self._is_overtaken(decision, status):
            self.unchanged.append(decision.sku)
        elif status.state is RenderState.CANDIDATE:
            self._decide(decision, status)
        elif (
            decision.verdict is Verdict.ACCEPT
            and decision.render_id in self._rejections
            and (status.state is RenderState.REJECTED)
        ):
            self._take_back(decision, status, self._rejections[decision.render_id])
        else:
            self._refuse(decision, f"its image waits no longer, it is {status.state} now: write a new sheet")

    def _is_overtaken(self, decision: Decision, status: ReviewStatus) -> bool:
        """Whether it is the rejection of an image, read again, that was taken back since."""
        before = self._rejections.get(decision.render_id)
        was_live = status.state in {RenderState.LIVE, RenderState.SUPERSEDED}
        is_rejection = was_live and decision.verdict is Verdict.REJECT
        return (
            is_rejection and before is not None and decision.said_at is not None and decision.said_at <= before.said_at
        )

    def _decide(self, decision: Decision, status: ReviewStatus) -> None:
        is_accepted = decision.verdict is Verdict.ACCEPT
        reason = self._unfit_image(decision, status) if is_accepted else _unfit_prompt(decision, status.model)
        if reason is None and is_accepted and self._wanted.get(status.sku) != status.fingerprint:
            reason = _CHANGED
        if reason is not None:
            self._refuse(decision, reason)
        elif is_accepted:
            self._accept(decision, status, self.accepted)
        else:
            self.rejected.append(self._rejection(decision))

    def _take_back(self, decision: Decision, status: ReviewStatus, before: Rejected) -> None:
        reason = _unfit_rejection(decision, before) or self._unfit_image(decision, status)
        wanted = self._wanted.get(status.sku)
        is_as_wanted = wanted == status.fingerprint
        if reason is None and not is_as_wanted and not _differs_by_the_edit(before, wanted):
            reason = _CHANGED
        if reason is not None:
            self._refuse(decision, reason)
        elif self._accept(decision, status, self.taken_back):
            if not is_as_wanted:
                self.with_other_prompt.append(decision.render_id)
            if before.waiting_id is not None:
                why = f"image {decision.render_id} was accepted instead"
                self.passed_over.append(Rejection(render_id=before.waiting_id, said_at=self._now, reason=why))

    def _accept(self, decision: Decision, status: ReviewStatus, to: list[UUID]) -> bool:
        if status.sku in self._skus:
            self._refuse(decision, "another image of this item is accepted by the same decisions: choose one")
            return False
        self._skus.add(status.sku)
        to.append(decision.render_id)
        return True

    def _unfit_image(self, decision: Decision, status: ReviewStatus) -> str | None:
        """Say why an image cannot go live that a person has accepted."""
        if decision.render_id in self._lost:
            return "the store has lost its image: reject it, and it is rendered again"
        if status.is_refused:
            return (
                "its image has another size than was ordered, and the recipe refuses to publish such: reject it, or"
                " import a recipe with another size_policy"
            )
        return None

    def _rejection(self, decision: Decision) -> Rejection:
        return Rejection(
            render_id=decision.render_id,
            said_at=decision.said_at or self._now,
            reason=decision.reason,
            prompt=decision.prompt,
        )

    def _refuse(self, decision: Decision, reason: str) -> None:
        self.refused.append(Refusal(sku=decision.sku, render_id=decision.render_id, reason=reason))


_CHANGED = "the item has changed since the image was requested: the next plan renders it as it is now"
_SAME = {Verdict.ACCEPT: RenderState.LIVE, Verdict.REJECT: RenderState.REJECTED}


def _unfit_rejection(decision: Decision, before: Rejected) -> str | None:
    """Say why a rejection cannot be taken back."""
    if before.is_replaced:
        return "it was rejected, and an image that was rendered later is live: it can no longer be accepted"
    if before.rendering_batch_id is not None:
        return (
            f"its item is being rendered again in batch {before.rendering_batch_id}: when that has ended, accept the"
            " image that you want"
        )
    if decision.said_at is None or decision.said_at <= before.said_at:
        return f"{before.by} has rejected it after this was saved: `darkroom catalog decide --accept` takes that back"
    return None


def _differs_by_the_edit(before: Rejected, wanted: str | None) -> bool:
    """Whether the item is as it was but for the prompt that the reviewer wrote when rejecting the image."""
    made = content_of(before.parts)
    if before.edited_prompt is None or not (before.is_last_edit or made.prompt == before.edited_from):
        return False
    return replace(made, prompt=before.edited_prompt).fingerprint == wanted


def _unfit_prompt(decision: Decision, model: str) -> str | None:
    if decision.prompt is None:
        return None
    checked = validate({"prompt": decision.prompt, "model": model}, 1)
    return f"its edited prompt {checked[0].reason}" if isinstance(checked, tuple) else None
