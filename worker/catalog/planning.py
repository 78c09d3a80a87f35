"""A plan says, before anything is spent, what of a catalog would be rendered, why, and at which price."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog.queries import items as catalog_items
from worker.catalog.queries import plans
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.items import ItemRow
from worker.catalog.rules import refresh
from worker.catalog.rules.catalog import Keep, Reason
from worker.catalog.rules.recipe import Recipe
from worker.catalog.rules.refresh import Content, Decision, Item, Options
from worker.catalog.rules.refresh_plan import Outline, Thresholds, outline, price_of
from worker.catalog.template import PromptTemplate
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault, UnfitError
from worker.intake.rules.request import validate


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """An item whose render the plan has already requested, with its sample."""

    fingerprint: str
    reasons: tuple[Reason, ...]
    is_rejected: bool
    """Whether a person rejected the image; another plan may render the item."""


class PlanFaulty(DarkroomError):
    """Some items cannot be rendered as they are; each fault names its SKU."""

    error_code = "plan_invalid"

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Keep every fault."""
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """List the first faults, one on a line."""
        rest = len(self.faults) - 20
        return "\n".join(self.faults[:20]) + (f"\n... and {rest:,} more" if rest > 0 else "")

    def explanation(self) -> str:
        """Return what the faults prevent."""
        return f"no plan was made:\n{self}"


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Options of a plan beyond what has changed; stored with the plan, so that it can be made again."""

    forced: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    """SKUs that the plan is about; None: all."""
    made_before: datetime | None = None
    credit_cap: int | None = None
    sample: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The options as they are stored; ``read_options`` reads them."""
        return {
            "forced": list(self.forced),
            "only": None if self.only is None else list(self.only),
            "made_before": self.made_before.isoformat() if self.made_before else None,
            "credit_cap": self.credit_cap,
            "sample": self.sample,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan as it was made; it costs nothing until it is saved and applied."""

    id: UUID
    catalog: CatalogRow
    plan_options: PlanOptions
    outline: Outline
    needs_approval: bool
    made_by: str
    made_at: datetime


def make(
    tx: Connection,
    catalog: CatalogRow,
    *,
    plan_id: UUID,
    by: str,
    now: datetime,
    forced: Collection[str] = (),
    only: Collection[str] | None = None,
    older_than_days: int | None = None,
    credit_cap: int | None = None,
    sample: int | None = None,
    approve_above: int | None,
) -> Plan:
    """Make a plan of the catalog as it is; raise PlanFaulty when an item cannot be rendered or a SKU is unknown.

    ``only`` names the SKUs that it is about, where that is not the whole catalog. ``older_than_days`` counts instead of
    the recipe's own limit; of ``credit_cap`` and the recipe's the lower counts.
    Whether it needs an approval is judged without any cap: many small plans are no way around one. Of the recipe's
    threshold in credits and ``approve_above`` the lower counts.
    """
    days = catalog.recipe.max_age_days if older_than_days is None else older_than_days
    caps = [cap for cap in (credit_cap, catalog.recipe.credit_cap) if cap is not None]
    plan_options = PlanOptions(
        forced=tuple(sorted(set(forced))),
        only=None if only is None else tuple(sorted(set(only))),
        made_before=None if days is None else now - timedelta(days=days),
        credit_cap=min(caps, default=None),
    )
    found = outline_of(tx, catalog, plan_options)
    limits = catalog.recipe.thresholds.lowered(approve_above)
    return Plan(
        id=plan_id,
        catalog=catalog,
        plan_options=replace(plan_options, sample=_sample(limits, found, sample)),
        outline=found,
        needs_approval=_needs_approval(limits, found, found.wanted),
        made_by=by,
        made_at=now,
    )


def save(tx: Connection, plan: Plan) -> None:
    """Store the plan, so that it can be approved and applied."""
    plans.add(
        tx,
        plan_id=plan.id,
        catalog_id=plan.catalog.id,
        content_hash=plan.outline.content_hash,
        document={
            "wish": plan.plan_options.as_json(),
            "items": len(plan.outline.decisions),
            "renders": [
                {
                    "sku": each.sku,
                    "fingerprint": each.fingerprint,
                    "reasons": list(each.reasons),
                    "words": [str(change) for change in each.words],
                    "prompt": each.wanted.prompt,
                }
                for each in plan.outline.renders
            ],
            "keeps": plan.outline.keeps,
        },
        price=plan.outline.price,
        counts=plan.outline.counts,
        needs_approval=plan.needs_approval,
        sample=plan.plan_options.sample,
        made_by=plan.made_by,
        made_at=plan.made_at,
    )


def outline_of(
    tx: Connection,
    catalog: CatalogRow,
    plan_options: PlanOptions,
    *,
    settled: Mapping[str, Settled] | None = None,
) -> Outline:
    """Decide about every item; a ``settled`` item counts as rendered while its content is unchanged."""
    options = Options(forced=frozenset(plan_options.forced), made_before=plan_options.made_before)
    decisions = [refresh.decide(item, options) for item in _with_contents(tx, list(_items(tx, catalog)))]
    if settled:
        decisions = [_settled(each, settled) for each in decisions]
    if plan_options.only is not None:
        asked = frozenset(plan_options.only)
        decisions = [each if each.sku in asked else _not_asked(each) for each in decisions]
    _check(decisions, plan_options)
    conditions = {
        "recipe": catalog.recipe_hash,
        "forced": list(plan_options.forced),
        "only": plan_options.as_json()["only"],
    }
    return outline(decisions, credit_cap=plan_options.credit_cap, conditions=conditions)


def current(tx: Connection, catalog: CatalogRow, skus: Sequence[str] | None = None) -> dict[str, str]:
    """Return the fingerprint of what each item should show, by SKU; ``skus`` None: of all.

    An item of which no prompt can be made is left out.
    """
    template = _template(catalog)
    found = {}
    for row in catalog_items.snapshot(tx, catalog.id, skus):
        with suppress(UnfitError):
            found[row.sku] = _item(row, catalog.recipe, template.prompt(row.fields)).fingerprint
    return found


def _sample(limits: Thresholds, found: Outline, sample: int | None) -> int | None:
    """Return the sample's size; None when it would be all. A sample is not a way around an approval."""
    if sample is None or sample >= len(found.renders):
        return None
    if _needs_approval(limits, found, found.renders[:sample]):
        raise PlanFaulty((f"a sample of {sample:,} is itself above the approval threshold: take a smaller one",))
    return sample


def _needs_approval(limits: Thresholds, found: Outline, part: Sequence[Decision]) -> bool:
    price = sum(price_of(each) for each in part)
    return limits.are_passed(price=price, renders=len(part), items=len(found.decisions))


def _not_asked(decision: Decision) -> Decision:
    """Leave the item for another plan, with whatever of it is undecided."""
    return replace(decision, keep=decision.keep or Keep.NOT_ASKED, reasons=(), words=(), supersedes=False)


def _settled(decision: Decision, settled: Mapping[str, Settled]) -> Decision:
    """Take what the plan has asked for as the plan had it, unless an import has changed the item since."""
    then = settled.get(decision.sku)
    if then is None or not (then.is_rejected or then.fingerprint == decision.fingerprint):
        return decision
    return replace(decision, fingerprint=then.fingerprint, keep=None, reasons=then.reasons, supersedes=False)


def _items(tx: Connection, catalog: CatalogRow) -> Iterator[Item]:
    template = _template(catalog)
    faults: list[str] = []
    for row in catalog_items.snapshot(tx, catalog.id):
        try:
            yield _item(row, catalog.recipe, template.prompt(row.fields))
        except UnfitError as unfit:
            faults.append(f"{row.sku}: prompt {unfit.reason}")
    if faults:
        raise PlanFaulty(tuple(faults))


def _template(catalog: CatalogRow) -> PromptTemplate:
    try:
        return PromptTemplate(catalog.recipe.prompt)
    except UnfitError as unfit:
        raise PlanFaulty((f"the recipe's prompt {unfit.reason}: import the catalog with another one",)) from unfit


def _with_contents(tx: Connection, items: list[Item]) -> Iterator[Item]:
    """Add what an item's live image was made from, where that is not what is wanted."""
    changed = [each.live.render_id for each in items if each.live and each.live.fingerprint != each.fingerprint]
    contents = catalog_items.contents(tx, changed)
    for each in items:
        content = contents.get(each.live.render_id) if each.live else None
        yield replace(each, live=replace(each.live, content=content)) if each.live and content else each


def _item(row: ItemRow, recipe: Recipe, prompt: str) -> Item:
    is_edited = row.edited_prompt is not None and row.edited_from == prompt
    wanted = Content(
        prompt=row.edited_prompt if is_edited and row.edited_prompt is not None else prompt,
        params=recipe.params,
        model=recipe.model,
        references=row.references,
    )
    return Item(
        id=row.id,
        sku=row.sku,
        wanted=wanted,
        fingerprint=wanted.fingerprint,
        live=row.live,
        attempt=row.attempt,
        is_rejected=row.is_rejected,
        kept_fingerprint=row.kept_fingerprint,
    )


def _check(decisions: list[Decision], plan_options: PlanOptions) -> None:
    """Refuse a plan that names SKUs which are not there, or items that no job can be made of."""
    unknown = set(plan_options.forced) - {each.sku for each in decisions} if plan_options.forced else set()
    faults = [f"{sku}: is not in the catalog" for sku in sorted(unknown)]
    faults += [f"{each.sku}: {fault}" for each in decisions if each.is_render for fault in _faults(each)]
    if faults:
        raise PlanFaulty(tuple(faults))


def _faults(decision: Decision) -> tuple[str, ...]:
    found = validate(as_request(decision), 1)
    if not isinstance(found, tuple):
        return ()
    return tuple(_said(fault) for fault in found)


def as_request(decision: Decision) -> dict[str, object]:
    """Return the line of a manifest that the decision asks for."""
    wanted = decision.wanted
    named = [f"sha256:{sha256}" for sha256 in wanted.references]
    reference: object = named if len(named) > 1 else next(iter(named), None)
    params: dict[str, object] = dict(wanted.params)
    return params | {"key": decision.sku, "prompt": wanted.prompt, "model": wanted.model, "reference": reference}


def _said(fault: Fault) -> str:
    return f"{fault.field} {fault.reason}"


def read_options(document: Mapping[str, Any]) -> PlanOptions:
    """Return the options of a saved plan."""
    raw = document["wish"]
    made_before = raw["made_before"]
    return PlanOptions(
        forced=tuple(raw["forced"]),
        only=None if raw.get("only") is None else tuple(raw["only"]),
        made_before=None if made_before is None else datetime.fromisoformat(made_before),
        credit_cap=raw["credit_cap"],
        sample=raw["sample"],
    )
