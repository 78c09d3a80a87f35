"""What a person decided about new images takes effect: the good ones are live, the others wait for the next plan."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.catalog import planning
from worker.catalog.going_live import go_live
from worker.db import catalog_review, catalogs
from worker.db.catalog_review import Standing
from worker.db.session import Database
from worker.domain.catalog import RenderState
from worker.domain.decisions import Decision, Verdict
from worker.domain.request import validate
from worker.media.store import Store

ACCEPTED = "accepted"
"""Why an image went live."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A decision that could not take effect."""

    sku: str
    render_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What came of a set of decisions, by SKU."""

    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
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
    """Let the decisions take effect together; those that cannot are refused, one by one, with the reason.

    The live images of all accepted ones change in one statement. Nothing is rendered and nothing is spent. An image
    does not go live whose item has changed since it was asked for, nor one that the store has lost.
    """
    lost = _lost(database, store, decisions)
    with database.transaction() as tx:
        catalog = catalogs.lock(tx, catalog_id)
        standings = catalog_review.lock_standings(tx, [each.render_id for each in decisions])
        wanted = planning.current(tx, catalog) if any(each.verdict is Verdict.ACCEPT for each in decisions) else {}
        found = _Sorted(catalog_id, wanted, lost)
        for each in decisions:
            found.take(each, standings.get(each.render_id))
        changed = go_live(
            tx,
            found.accepted,
            states=[RenderState.CANDIDATE],
            actor=by,
            reason=ACCEPTED,
            now=now,
            new_id=new_id,
        )
        rejected = catalog_review.reject(tx, found.rejected, actor=by, now=now)
    return Effect(
        accepted=tuple(each.sku for each in changed),
        rejected=tuple(rejected),
        unchanged=tuple(found.unchanged),
        refused=tuple(found.refused),
    )


def _lost(database: Database, store: Store, decisions: Sequence[Decision]) -> set[UUID]:
    """Return the accepted images that are not in the store; it is asked with no transaction open."""
    accepted = [each.render_id for each in decisions if each.verdict is Verdict.ACCEPT]
    with database.transaction() as tx:
        standings = catalog_review.standings(tx, accepted)
    return {each.render_id for each in standings.values() if each.path is not None and not store.exists(each.path)}


class _Sorted:
    """The decisions by what is to be done about them."""

    def __init__(self, catalog_id: UUID, wanted: Mapping[str, str], lost: Collection[UUID]) -> None:
        self.accepted: list[UUID] = []
        self.rejected: dict[UUID, str | None] = {}
        self.unchanged: list[str] = []
        self.refused: list[Refusal] = []
        self._catalog_id = catalog_id
        self._wanted = wanted
        self._lost = lost

    def take(self, decision: Decision, standing: Standing | None) -> None:
        reason = _refusal(decision, standing, self._catalog_id)
        if reason is None and standing is not None and standing.state is RenderState.CANDIDATE:
            reason = self._unfit_image(decision, standing)
        if reason is not None:
            self.refused.append(Refusal(sku=decision.sku, render_id=decision.render_id, reason=reason))
        elif standing is not None and standing.state is not RenderState.CANDIDATE:
            self.unchanged.append(decision.sku)
        elif decision.verdict is Verdict.ACCEPT:
            self.accepted.append(decision.render_id)
        else:
            self.rejected[decision.render_id] = decision.prompt

    def _unfit_image(self, decision: Decision, standing: Standing) -> str | None:
        """Return why an image cannot go live that a person has accepted."""
        if decision.verdict is not Verdict.ACCEPT:
            return None
        if decision.render_id in self._lost:
            return "the store has lost its image: reject it, and it is rendered again"
        if standing.is_refused:
            return (
                "its image has another size than was ordered, and the recipe refuses to publish such: reject it, or"
                " import a recipe with another size_policy"
            )
        if self._wanted.get(standing.sku) != standing.fingerprint:
            return "the item has changed since the image was asked for: the next plan renders it as it is now"
        return None


_SAME = {Verdict.ACCEPT: RenderState.LIVE, Verdict.REJECT: RenderState.REJECTED}


def _refusal(decision: Decision, standing: Standing | None, catalog_id: UUID) -> str | None:
    if standing is None or standing.catalog_id != catalog_id:
        return "this catalog has no such image"
    if standing.is_removed:
        return "the item is no longer in the catalog"
    if standing.state is _SAME[decision.verdict]:
        return None
    if standing.state is not RenderState.CANDIDATE:
        return f"its image waits no longer, it is {standing.state} now: write a new sheet"
    return _unfit_prompt(decision, standing.model)


def _unfit_prompt(decision: Decision, model: str) -> str | None:
    if decision.prompt is None or decision.verdict is Verdict.ACCEPT:
        return None
    checked = validate({"prompt": decision.prompt, "model": model}, 1)
    return f"its edited prompt {checked[0].reason}" if isinstance(checked, tuple) else None
