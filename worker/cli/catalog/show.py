"""`darkroom catalog list`, `show`, `show-plan`: catalogs, where one stands, and what a saved plan would render."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from worker.cli import output

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
        found = [(row, items.count_by_state(tx, row.id)) for row in catalogs.all_by_name(tx)]
    if as_json:
        output.print_json([{"catalog": row.name, **asdict(counts)} for row, counts in found])
        return
    if not found:
        output.answers().print(
            "There is no catalog yet: `darkroom catalog import NAME items.csv --recipe recipe.toml` creates one.",
            markup=False,
        )
        return
    numbers = ("items", "live", "rendering", "candidates", "failed")
    table = output.table(
        "catalog", *numbers, "review", "imported", numbers=numbers, whole=("imported",), details=("imported", "review")
    )
    for row, counts in found:
        figures = [f"{getattr(counts, name):,}" for name in numbers]
        table.add_row(Text(row.name), *figures, row.recipe.review, f"{row.updated_at:%Y-%m-%d %H:%M}")
    output.answers().print(table)


def show(name: output.CatalogName, as_json: output.AsJson = False) -> None:
    """Show one catalog: its recipe, where its items stand, and its newest plans."""
    from worker.catalog.queries import items
    from worker.catalog.queries import plans as catalog_plans
    from worker.catalog.queries import rejections as catalog_rejections
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.catalog(tx, name)
        counts = items.count_by_state(tx, row.id)
        plans = catalog_plans.newest(tx, row.id, limit=_PLANS_SHOWN)
        rejections = catalog_rejections.recent(tx, row.id, limit=_REJECTIONS_SHOWN)
    if as_json:
        output.print_json(
            {
                "catalog": row.name,
                **asdict(counts),
                "recipe": row.recipe.as_json(),
                "imported_at": row.updated_at.isoformat(),
                "plans": [_plan_as_json(plan) for plan in plans],
                "rejections": [_rejection_as_json(each) for each in rejections],
            }
        )
    else:
        _say(row, counts, plans)
        _say_rejections(rejections)


def _plan_as_json(plan: "PlanRow") -> dict[str, Any]:
    return {
        "plan": str(plan.id),
        "state": plan.status,
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


def _say(row: "CatalogRow", counts: "ItemCounts", plans: "list[PlanRow]") -> None:
    console = output.answers()
    console.print(f"catalog    {row.name}, review {row.recipe.review}", markup=False)
    console.print(
        f"items      {counts.items:,}: {counts.live:,} live, {counts.rendering:,} being rendered,"
        f" {counts.candidates:,} waiting for review, {counts.failed:,} failed, {counts.rejected:,} rejected"
    )
    if counts.removed:
        console.print(f"removed    {counts.removed:,}, whose images are kept")
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
        table.add_row(made, plan.made_by, renders, f"{plan.price:,}", plan.status, str(plan.id))
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


if TYPE_CHECKING:
    from worker.catalog.queries.plans import PlanRow


def show_plan(
    plan: output.PlanName,
    rows: output.ItemRows = 20,
    as_json: output.AsJson = False,
) -> None:
    """Show a saved plan: price, reasons, prompts, and the words that differ."""
    from worker.catalog.queries import catalogs
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.plan(tx, plan)
        catalog = catalogs.name_of(tx, row.catalog_id)
    if as_json:
        output.print_json(_items_as_json(row, catalog))
    else:
        _say_plan(row, catalog, rows)


def _items_as_json(row: "PlanRow", catalog: str) -> dict[str, Any]:

    return {
        "plan": str(row.id),
        "catalog": catalog,
        "state": row.status,
        "price": row.price,
        "counts": dict(row.counts),
        "made_by": row.made_by,
        "made_at": row.made_at.isoformat(),
        "approved_by": row.approved_by,
        "refused_by": row.refused_by,
        "refused_reason": row.refused_reason,
        "renders": row.document["renders"],
        "keeps": _keeps(row),
    }


def _keeps(row: "PlanRow") -> list[dict[str, str]]:
    kept = row.document.get("keeps", {})
    return [{"sku": sku, "keep": reason} for reason, skus in kept.items() for sku in skus]


def _say_plan(row: "PlanRow", catalog: str, rows: int) -> None:
    console = output.answers()
    for label, value in _plan_lines(row, catalog).items():
        console.print(f"{label:<10}{value}", markup=False)
    renders, keeps = row.document["renders"], _keeps(row)
    if rows and (renders or keeps):
        console.print()
        console.print(_plan_table(renders, keeps, rows))
    rest = len(renders) + len(keeps) - rows
    if rest > 0:
        console.print(f"... and {rest:,} more: --rows {len(renders) + len(keeps)} or --json shows them")


def _plan_lines(row: "PlanRow", catalog: str) -> dict[str, str]:

    refused = f" by {row.refused_by}: {row.refused_reason}" if row.refused_at else ""
    counts = ", ".join(f"{word} {count:,}" for word, count in row.counts.items())
    return {
        "plan": f"{row.id} of {catalog}",
        "made": f"{row.made_at:%Y-%m-%d %H:%M} UTC by {row.made_by}",
        "state": f"{row.status}{refused}",
        "price": f"{output.plural(row.price, 'credit')} for {output.plural(len(row.document['renders']), 'image')}",
        "items": counts or "none",
    }


def _plan_table(renders: list[dict[str, Any]], keeps: list[dict[str, str]], rows: int) -> Any:
    table = output.table("sku", "why", "words that differ", "prompt", details=("prompt", "words that differ"))
    for each in renders[:rows]:
        words = "; ".join(each.get("words", ()))
        table.add_row(each["sku"], ", ".join(each["reasons"]), words, each.get("prompt", ""))
    for kept in keeps[: max(0, rows - len(renders))]:
        table.add_row(kept["sku"], f"kept: {kept['keep']}", "", "")
    return table
