"""A plan is approved or refused by a person, once; one above a threshold is approved by another than its planner."""

from datetime import datetime
from uuid import UUID

from worker.catalog.applying import PlanRefused, PlanUnknown
from worker.catalog.queries import catalogs, plans
from worker.catalog.queries.plans import PlanRow
from worker.core.db.session import Database


class ApprovalRefused(Exception):
    """This person cannot approve this plan now."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, which is a sentence."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return self.reason


def approve(database: Database, plan_id: UUID, *, by: str, now: datetime) -> PlanRow:
    """Record that ``by`` agrees, and give the plan; the same approval again changes nothing."""
    with database.transaction() as tx:
        seen = plans.by_id(tx, plan_id)
        if seen is None:
            raise PlanUnknown(plan_id)
        catalogs.lock(tx, seen.catalog_id)
        plan = plans.by_id(tx, plan_id) or seen
        if plan.approved_by != by:
            _check(plan, by)
            plans.approve(tx, plan_id, by=by, now=now)
        return plans.by_id(tx, plan_id) or plan


def refuse(database: Database, plan_id: UUID, *, by: str, reason: str, now: datetime) -> PlanRow:
    """Record that ``by`` says no, and give the plan: nothing more of it is ever rendered; a second no changes nothing.

    Also one that is approved can be refused until it is applied; of one whose sample is applied, the rest is refused.
    """
    with database.transaction() as tx:
        seen = plans.by_id(tx, plan_id)
        if seen is None:
            raise PlanUnknown(plan_id)
        catalogs.lock_only(tx, seen.catalog_id)
        plans.refuse(tx, plan_id, by=by, reason=reason, now=now)
        plan = plans.by_id(tx, plan_id) or seen
        if plan.applied_at is not None:
            raise ApprovalRefused(
                f"this plan has been applied already: `darkroom cancel {plan.batch_id}` stops its batch"
                if plan.batch_id
                else "this plan has been applied already, and had nothing to render"
            )
        return plan


def _check(plan: PlanRow, by: str) -> None:
    if plan.refused_at is not None:
        raise ApprovalRefused(str(PlanRefused(plan.id, plan.refused_by or "", plan.refused_reason or "")))
    if plan.approved_by is not None:
        raise ApprovalRefused(f"{plan.approved_by} has approved this plan already")
    if plan.applied_at is not None:
        raise ApprovalRefused("this plan has been applied already: there is nothing left to approve")
    if plan.needs_approval and same_person(by, plan.made_by):
        raise ApprovalRefused(f"{plan.made_by} made this plan, and it needs the approval of somebody else")
    if plan.sample is not None and plan.sampled_at is None:
        raise ApprovalRefused("this plan has a sample: apply it first, look at the sample, then approve the rest")


def same_person(one: str, other: str) -> bool:
    """Whether two names differ in nothing but case and spaces around them."""
    return one.strip().casefold() == other.strip().casefold()
