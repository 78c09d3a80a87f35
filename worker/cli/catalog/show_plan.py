"""`darkroom catalog show-plan`: what a saved plan would render, with its prompts, for whoever is to approve it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.catalog.arguments import PlanName

if TYPE_CHECKING:
    from worker.catalog.queries.plans import PlanRow


def show_plan(
    plan: PlanName,
    rows: Annotated[int, typer.Option(min=0, help="How many items are listed on the screen.")] = 20,
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
        output.print_json(_as_json(row, catalog))
    else:
        _say(row, catalog, rows)


def _as_json(row: "PlanRow", catalog: str) -> dict[str, Any]:
    from worker.cli.catalog.show import state_of

    return {
        "plan": str(row.id),
        "catalog": catalog,
        "state": state_of(row),
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


def _say(row: "PlanRow", catalog: str, rows: int) -> None:
    console = output.answers()
    for label, value in _lines(row, catalog).items():
        console.print(f"{label:<10}{value}", markup=False)
    renders, keeps = row.document["renders"], _keeps(row)
    if rows and (renders or keeps):
        console.print()
        console.print(_table(renders, keeps, rows))
    rest = len(renders) + len(keeps) - rows
    if rest > 0:
        console.print(f"... and {rest:,} more: --rows {len(renders) + len(keeps)} or --json shows them")


def _lines(row: "PlanRow", catalog: str) -> dict[str, str]:
    from worker.cli.catalog.show import state_of

    refused = f" by {row.refused_by}: {row.refused_reason}" if row.refused_at else ""
    counts = ", ".join(f"{word} {count:,}" for word, count in row.counts.items())
    return {
        "plan": f"{row.id} of {catalog}",
        "made": f"{row.made_at:%Y-%m-%d %H:%M} UTC by {row.made_by}",
        "state": f"{state_of(row)}{refused}",
        "price": f"{output.plural(row.price, 'credit')} for {output.plural(len(row.document['renders']), 'image')}",
        "items": counts or "none",
    }


def _table(renders: list[dict[str, Any]], keeps: list[dict[str, str]], rows: int) -> Any:
    table = output.table("sku", "why", "words that differ", "prompt", details=("prompt", "words that differ"))
    for each in renders[:rows]:
        words = "; ".join(each.get("words", ()))
        table.add_row(each["sku"], ", ".join(each["reasons"]), words, each.get("prompt", ""))
    for kept in keeps[: max(0, rows - len(renders))]:
        table.add_row(kept["sku"], f"kept: {kept['keep']}", "", "")
    return table
