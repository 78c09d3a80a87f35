"""`darkroom catalog list` and `show`: which catalogs there are, and where the items of one stand."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from worker.cli import output
from worker.cli.catalog.arguments import CatalogName

if TYPE_CHECKING:
    from worker.catalog.queries.catalogs import CatalogRow
    from worker.catalog.queries.items import ItemCounts
    from worker.catalog.queries.plans import PlanRow
    from worker.catalog.queries.rejections import Listed

_PLANS_SHOWN = 5
_REJECTIONS_SHOWN = 10


def list_(as_json: output.AsJson = False) -> None:
    """List the catalogs."""
    from rich.text import Text

    from worker.catalog.queries import catalogs, items
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        found = [(row, items.standing(tx, row.id)) for row in catalogs.all_by_name(tx)]
    if as_json:
        output.print_json([{"catalog": row.name, **asdict(standing)} for row, standing in found])
        return
    if not found:
        output.answers().print(
            "There is no catalog yet: `darkroom catalog import NAME items.csv --recipe recipe.toml` makes one.",
            markup=False,
        )
        return
    numbers = ("items", "live", "rendering", "candidates", "failed")
    table = output.table(
        "catalog", *numbers, "review", "imported", numbers=numbers, whole=("imported",), details=("imported", "review")
    )
    for row, standing in found:
        counts = [f"{getattr(standing, name):,}" for name in numbers]
        table.add_row(Text(row.name), *counts, row.recipe.review, f"{row.updated_at:%Y-%m-%d %H:%M}")
    output.answers().print(table)


def show(name: CatalogName, as_json: output.AsJson = False) -> None:
    """Show one catalog: its recipe, where its items stand, and its newest plans."""
    from worker.catalog.queries import items
    from worker.catalog.queries import plans as catalog_plans
    from worker.catalog.queries import rejections as catalog_rejections
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.catalog(tx, name)
        standing = items.standing(tx, row.id)
        plans = catalog_plans.newest(tx, row.id, limit=_PLANS_SHOWN)
        rejections = catalog_rejections.recent(tx, row.id, limit=_REJECTIONS_SHOWN)
    if as_json:
        output.print_json(
            {
                "catalog": row.name,
                **asdict(standing),
                "recipe": row.recipe.as_json(),
                "imported_at": row.updated_at.isoformat(),
                "plans": [_plan_as_json(plan) for plan in plans],
                "rejections": [_rejection_as_json(each) for each in rejections],
            }
        )
    else:
        _say(row, standing, plans)
        _say_rejections(rejections)


def state_of(plan: "PlanRow") -> str:
    """Where a plan stands, in one word or two."""
    if plan.applied_at is not None:
        return "applied"
    if plan.refused_at is not None:
        return "refused"
    if plan.approved_at is not None:
        return "approved"
    if plan.sampled_at is not None:
        return "sampled, waits for review"
    return "waits for approval" if plan.needs_approval else "saved"


def _plan_as_json(plan: "PlanRow") -> dict[str, Any]:
    return {
        "plan": str(plan.id),
        "state": state_of(plan),
        "render": len(plan.document["renders"]),
        "price": plan.price,
        "made_by": plan.made_by,
        "made_at": plan.made_at.isoformat(),
        "approved_by": plan.approved_by,
        "batch": str(plan.batch_id) if plan.batch_id else None,
        "sample_batch": str(plan.sample_batch_id) if plan.sample_batch_id else None,
    }


def _rejection_as_json(each: "Listed") -> dict[str, Any]:
    return {
        "sku": each.sku,
        "image": str(each.render_id),
        "at": each.at.isoformat(),
        "by": each.by,
        "reason": each.reason,
    }


def _say(row: "CatalogRow", standing: "ItemCounts", plans: "list[PlanRow]") -> None:
    console = output.answers()
    console.print(f"catalog    {row.name}, review {row.recipe.review}", markup=False)
    console.print(
        f"items      {standing.items:,}: {standing.live:,} live, {standing.rendering:,} being rendered,"
        f" {standing.candidates:,} waiting for review, {standing.failed:,} failed, {standing.rejected:,} rejected"
    )
    if standing.removed:
        console.print(f"removed    {standing.removed:,}, whose images are kept")
    console.print(f"prompt     {row.recipe.prompt.strip()}", markup=False)
    params = ", ".join(f"{key} {value}" for key, value in row.recipe.params.items())
    console.print(f"model      {row.recipe.model}, {params}", markup=False)
    console.print(f"imported   {row.updated_at:%Y-%m-%d %H:%M:%S} UTC")
    if plans:
        console.print()
        console.print(_plans(plans))


def _plans(plans: "list[PlanRow]") -> Any:

    table = output.table(
        "made",
        "by",
        "render",
        "credits",
        "state",
        "plan",
        numbers=("render", "credits"),
        whole=("plan", "made"),
        details=("plan", "by"),
    )
    for plan in plans:
        made = f"{plan.made_at:%Y-%m-%d %H:%M}"
        renders = f"{len(plan.document['renders']):,}"
        table.add_row(made, plan.made_by, renders, f"{plan.price:,}", state_of(plan), str(plan.id))
    return table


def _say_rejections(rejections: "list[Listed]") -> None:
    if not rejections:
        return
    console = output.answers()
    table = output.table("rejected", "item", "by", "reason", "image", whole=("rejected",), details=("reason", "image"))
    for each in rejections:
        table.add_row(f"{each.at:%Y-%m-%d %H:%M}", each.sku, each.by, each.reason or "", str(each.render_id))
    console.print()
    console.print(table)
