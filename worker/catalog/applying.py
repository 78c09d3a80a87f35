"""Applying a plan makes it one batch, once, and only while the catalog is still what the plan was made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.catalog import planning
from worker.catalog.planning import Settled, read_options
from worker.catalog.queries import catalogs, items, plans
from worker.catalog.queries import renders as catalog_renders
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.plans import PlanRow
from worker.catalog.queries.renders import PlannedRender
from worker.catalog.rules.catalog import Reason, RenderState, ReviewPolicy
from worker.catalog.rules.refresh import Decision
from worker.catalog.rules.refresh_plan import Outline, differences, price_of
from worker.core.db.session import Database
from worker.core.rules.batch_request import BatchRequest, Priority, Purpose
from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import BatchState
from worker.core.rules.text import LABEL_MAX
from worker.engine.queries import batches, failures
from worker.intake.manifest import Row
from worker.intake.prepare import prepare
from worker.intake.reference_store import ReferenceStore
from worker.intake.write import RequestsRefused, write

log = structlog.get_logger(__name__)


class PlanUnknown(DarkroomError):
    """No plan with this id was saved in this database."""

    error_code = "plan_unknown"

    def __init__(self, plan_id: UUID) -> None:
        """Keep the id."""
        super().__init__(plan_id)
        self.plan_id = plan_id

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return f"plan {self.plan_id} was not made with this database: make one with `darkroom catalog plan NAME --out`"


class PlanStale(DarkroomError):
    """The catalog has changed since the plan was made; nothing was spent."""

    error_code = "plan_stale"

    def __init__(self, plan_id: UUID, differences: tuple[str, ...]) -> None:
        """Keep what has changed, one sentence each; more may have."""
        super().__init__(plan_id, differences)
        self.plan_id = plan_id
        self.differences = differences

    def __str__(self) -> str:
        """List what has changed."""
        changed = "\n".join(f"  {each}" for each in self.differences)
        return (
            f"the catalog is no longer what plan {self.plan_id} was made from, so nothing was spent:\n{changed}\n"
            "Make a new plan, and apply that."
        )


class ApprovalNeeded(DarkroomError):
    """The plan needs the approval of a second person."""

    error_code = "approval_needed"

    def __init__(self, plan_id: UUID, reason: str) -> None:
        """Keep which plan and why."""
        super().__init__(plan_id, reason)
        self.plan_id = plan_id
        self.reason = reason

    def __str__(self) -> str:
        """Return who may do what."""
        return f"{self.reason}: `darkroom catalog approve {self.plan_id} --by NAME`"


class PlanRefused(DarkroomError):
    """The plan was refused by a person; nothing of it is rendered."""

    error_code = "plan_refused"

    def __init__(self, plan_id: UUID, by: str, reason: str) -> None:
        """Keep which plan, who, and why."""
        super().__init__(plan_id, by, reason)
        self.plan_id, self.by, self.reason = plan_id, by, reason

    def __str__(self) -> str:
        """Return the message, with what may be done instead."""
        return f"{self.by} has refused plan {self.plan_id} ({self.reason}): make a new plan"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The outcome of applying a plan; ``is_new`` is False when it had been applied before."""

    plan_id: UUID
    batch_id: UUID | None
    """None when there was nothing to render."""
    jobs: int
    credits: int
    is_new: bool
    is_sample: bool
    """Whether this was the plan's sample; the rest waits for an approval."""


def apply(database: Database, plan_id: UUID, *, account_id: UUID, now: datetime, new_id: Callable[[], UUID]) -> Applied:
    """Make the plan's images jobs of one batch.

    Raises PlanStale, PlanRefused or ApprovalNeeded before anything is spent.

    Applying twice, also from two places at once, is the same as once. A plan with a sample is applied twice: first
    its sample, then, after an approval, the rest.
    """
    with database.bulk_transaction() as tx:
        catalog, plan = _locked(tx, plan_id)
        if plan.applied_at is not None:
            return _earlier(tx, plan)
        _check_refusal(plan)
        found = _outline_again(tx, catalog, plan)
        is_sample = plan.sample is not None and plan.sampled_at is None
        _check_approval(plan, is_sample=is_sample)
        if is_sample and plan.needs_approval:
            _check_samples(tx, plan)
        part = found.renders[: plan.sample] if is_sample else _not_yet_asked(tx, plan, found)
        _give_up_stale(tx, part if is_sample else found.decisions)
        batch_id = _submit(tx, catalog, plan, part, account_id=account_id, now=now, new_id=new_id) if part else None
        record = plans.record_sample if is_sample else plans.record_applied
        record(tx, plan.id, batch_id=batch_id, now=now)
    if batch_id is not None:
        log.info("batch.enqueued", batch=str(batch_id), plan=str(plan.id), state=BatchState.OPEN, jobs=len(part))
    return Applied(
        plan_id=plan.id,
        batch_id=batch_id,
        jobs=len(part),
        credits=sum(price_of(each) for each in part),
        is_new=True,
        is_sample=is_sample,
    )


def is_true(database: Database, plan_id: UUID) -> bool:
    """Return whether the catalog is unchanged since the plan was made; raise PlanFaulty if it cannot be planned now."""
    with database.bulk_transaction() as tx:
        catalog, plan = _locked(tx, plan_id)
        try:
            _outline_again(tx, catalog, plan)
        except PlanStale:
            return False
    return True


def _locked(tx: Connection, plan_id: UUID) -> tuple[CatalogRow, PlanRow]:
    """Lock the plan's catalog first, and read the plan when no other transaction can apply it."""
    seen = plans.by_id(tx, plan_id)
    if seen is None:
        raise PlanUnknown(plan_id)
    catalog = catalogs.lock(tx, seen.catalog_id)
    return catalog, plans.by_id(tx, plan_id) or seen


def _earlier(tx: Connection, plan: PlanRow) -> Applied:
    """Return what the plan became; of one with a sample, that is the rest."""
    batch = None if plan.batch_id is None else batches.by_id(tx, plan.batch_id)
    count = 0 if batch is None else batch.size
    return Applied(
        plan_id=plan.id,
        batch_id=plan.batch_id,
        jobs=count,
        credits=count * plan.price // max(1, len(plan.document["renders"])),
        is_new=False,
        is_sample=False,
    )


def _outline_again(tx: Connection, catalog: CatalogRow, plan: PlanRow) -> Outline:
    """Make the plan once more from what is there now; raise PlanStale when it is another one."""
    asked = catalog_renders.of_plan(tx, plan.id) if plan.sampled_at else {}
    then = {each["sku"]: each for each in plan.document["renders"]}
    settled = {
        sku: Settled(
            fingerprint=each.fingerprint,
            reasons=_reasons(then[sku]["reasons"]),
            is_rejected=each.state is RenderState.REJECTED,
        )
        for sku, each in asked.items()
    }
    found = planning.outline_of(tx, catalog, read_options(plan.document), settled=settled)
    if found.content_hash != plan.content_hash:
        raise PlanStale(plan.id, _changed(plan, found))
    return found


def _changed(plan: PlanRow, found: Outline) -> tuple[str, ...]:
    if "keeps" not in plan.document:
        return ("it was made by an earlier version of Darkroom",)
    kept: dict[str, str | None] = {sku: None for skus in plan.document["keeps"].values() for sku in skus}
    then = kept | {each["sku"]: each["fingerprint"] for each in plan.document["renders"]}
    return tuple(differences(then, found.decisions)) or ("the recipe is another one, or why an item is rendered",)


def _reasons(words: Sequence[str]) -> tuple[Reason, ...]:
    return tuple(Reason(word) for word in words)


def _check_refusal(plan: PlanRow) -> None:
    if plan.refused_at is not None:
        raise PlanRefused(plan.id, plan.refused_by or "", plan.refused_reason or "")


def _check_approval(plan: PlanRow, *, is_sample: bool) -> None:
    if is_sample or plan.approved_at is not None:
        return
    if plan.needs_approval:
        raise ApprovalNeeded(
            plan.id, f"this plan of {plan.price:,} credits needs approval by someone other than {plan.made_by}"
        )
    if plan.sample is not None:
        raise ApprovalNeeded(plan.id, "the sample of this plan waits for review; go on with the rest by")


def _check_samples(tx: Connection, plan: PlanRow) -> None:
    """Take one sample at a time where an approval is needed: many samples are no way around it."""
    other = plans.waiting_sample(tx, plan.catalog_id)
    if other is not None:
        raise ApprovalNeeded(other, f"the sample of plan {other} waits for review: refuse that plan, or approve it by")


def _not_yet_asked(tx: Connection, plan: PlanRow, found: Outline) -> list[Decision]:
    asked = catalog_renders.of_plan(tx, plan.id) if plan.sampled_at else {}
    return [each for each in found.renders if each.sku not in asked]


def _give_up_stale(tx: Connection, decisions: Sequence[Decision]) -> None:
    """Give up undecided images of other content, also of items that are kept."""
    catalog_renders.supersede_undecided(tx, [each.id for each in decisions if each.supersedes])


def _submit(
    tx: Connection,
    catalog: CatalogRow,
    plan: PlanRow,
    part: Sequence[Decision],
    *,
    account_id: UUID,
    now: datetime,
    new_id: Callable[[], UUID],
) -> UUID:
    """Write the batch, and an image beside each of its jobs."""
    is_sample = plan.sample is not None and plan.sampled_at is None
    rows = [Row(line=line, raw=planning.as_request(each)) for line, each in enumerate(part, start=1)]
    prepared = prepare(rows, base=None, reference_store=ReferenceStore(None))
    if prepared.faults:
        raise RequestsRefused(tuple(prepared.faults))
    request = BatchRequest(
        name=f"{catalog.name} {now:%Y-%m-%d}{' sample' if is_sample else ''}"[:LABEL_MAX],
        owner=catalog.recipe.owner or catalog.name,
        token=f"{plan.id}:sample" if is_sample else str(plan.id),
        purpose=Purpose.REFRESH,
        priority=Priority.REFRESH,
        credit_cap=_cap_left(plan),
        size_policy=catalog.recipe.size_policy,
    )
    # Whoever had to agree has agreed to the plan.
    # A catalog stays with its account: what is known of its prompts and references is known there.
    receipt = write(
        tx,
        request,
        prepared,
        account_id=account_id,
        now=now,
        new_id=new_id,
        approve_above=None,
        follows_owner=False,
    )
    prepared.spool.close()
    asked = [PlannedRender(id=new_id(), item_id=each.id, sku=each.sku) for each in part]
    needs_review = is_sample or catalog.recipe.review is ReviewPolicy.REQUIRED
    added = catalog_renders.add(
        tx, asked, plan_id=plan.id, batch_id=receipt.batch_id, needs_review=needs_review, now=now
    )
    assert added == len(part), "every job of a plan has an image of an item beside it"
    items.clear_rejections(tx, [each.id for each in part])
    for forced in (each.wanted for each in part if Reason.FORCED in each.reasons):
        failures.forget_prompt(tx, account_id, model=forced.model, prompt=forced.prompt)
    return receipt.batch_id


def _cap_left(plan: PlanRow) -> int | None:
    """Return what the batch may commit: sample and rest share the one cap of their plan."""
    cap, renders = read_options(plan.document).credit_cap, len(plan.document["renders"])
    if cap is None or plan.sampled_at is None or plan.sample is None:
        return cap
    return max(0, cap - plan.price * plan.sample // renders)
