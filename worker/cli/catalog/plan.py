"""`darkroom catalog plan`: what would be rendered, why, and at which price; nothing is spent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.signing import ByOption

if TYPE_CHECKING:
    from worker.catalog.planning import Plan
    from worker.cli.batches.forecast import Forecast
    from worker.cli.context import Context


def plan(  # noqa: PLR0917 - typer gives each by its name
    name: output.CatalogName,
    out: Annotated[Path | None, typer.Option(help="Save the plan, so that it can be applied.")] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="SKU", help="Render this item even if nothing changed.")
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, metavar="DAYS", help="Also render images older than this many days."),
    ] = None,
    credit_cap: Annotated[
        int | None, typer.Option(min=0, help="Most credits to spend; the remaining items are left for the next plan.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Render N items first, then wait for approval of the rest.")
    ] = None,
    rows: output.ItemRows = 20,
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Show what would be rendered and why, the exact price, and the wallet after it. Spends nothing."""
    from worker import wiring
    from worker.catalog import planning
    from worker.cli import signing
    from worker.cli.batches import forecast
    from worker.cli.catalog import lookup

    context, database = lookup.opened()
    with database.bulk_transaction() as tx:
        made = planning.make(
            tx,
            lookup.catalog(tx, name),
            plan_id=wiring.new_id(),
            by=signing.actor(by),
            now=wiring.clock(),
            forced=force or (),
            older_than_days=older_than,
            credit_cap=credit_cap,
            sample=sample,
            approve_above=context.settings.approve_above,
        )
        if out is not None:
            planning.save(tx, made)
            # Within the transaction: a plan whose file could not be written was never made.
            _write(out, made)
    found = _forecast(context, made)
    if as_json:
        output.print_json(_as_json(made) | forecast.as_json(found))
    else:
        _say(made, found, rows=rows, out=out)


def _forecast(context: "Context", made: "Plan") -> "Forecast":
    from worker.cli.batches.forecast import forecast

    renders = made.outline.renders
    uploads = len({sha256 for each in renders for sha256 in each.wanted.references})
    return forecast(context, price=made.outline.price, images=len(renders), uploads=uploads)


def _as_json(made: "Plan") -> dict[str, Any]:
    outline = made.outline
    return {
        "plan": str(made.id),
        "catalog": made.catalog.name,
        "content_hash": outline.content_hash,
        "made_by": made.made_by,
        "made_at": made.made_at.isoformat(),
        "items": len(outline.decisions),
        "render": len(outline.renders),
        "price": outline.price,
        "counts": outline.counts,
        "needs_approval": made.needs_approval,
        **made.plan_options.as_json(),
        "renders": [
            {
                "sku": each.sku,
                "reasons": list(each.reasons),
                "words": [str(change) for change in each.words],
                "prompt": each.wanted.prompt,
                "fingerprint": each.fingerprint,
            }
            for each in outline.renders
        ],
        "keeps": [{"sku": each.sku, "keep": str(each.keep)} for each in outline.decisions if each.keep],
    }


def _write(out: Path, made: "Plan") -> None:
    import json

    from worker.cli.errors import CliError

    part = out.with_name(f".{out.name[:100]}.part")
    try:
        part.write_text(json.dumps(_as_json(made), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        part.replace(out)
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror or error}; choose another path with --out") from error


def _say(made: "Plan", forecast: "Forecast", *, rows: int, out: Path | None) -> None:
    console = output.answers()
    for label, value in _lines(made, forecast).items():
        console.print(f"{label:<10}{value}", markup=False)
    if made.outline.decisions and rows:
        console.print()
        console.print(_table(made, rows))
        rest = len(made.outline.decisions) - rows
        if rest > 0:
            console.print(f"... and {rest:,} more: --rows {len(made.outline.decisions)} or --json shows them")
    console.print()
    console.print(_next_step(made, out), markup=False)


def _lines(made: "Plan", forecast: "Forecast") -> dict[str, str]:
    from worker.catalog.rules.catalog import Keep
    from worker.cli.batches import forecast as forecasts

    outline = made.outline
    kept = {str(keep) for keep in Keep}
    renders = ", ".join(f"{word} {count:,}" for word, count in outline.counts.items() if word not in kept)
    keeps = ", ".join(f"{word} {count:,}" for word, count in outline.counts.items() if word in kept)
    count = len(outline.renders)
    lines = {
        "catalog": f"{made.catalog.name}, {output.plural(len(outline.decisions), 'item')}",
        "render": f"{count:,}" + (f" ({renders})" if renders else ""),
        "keep": f"{len(outline.decisions) - count:,}" + (f" ({keeps})" if keeps else ""),
        "price": output.plural(outline.price, "credit"),
        "wallet": forecasts.wallet_line(forecast),
        "duration": forecasts.duration_line(forecast),
    }
    if made.needs_approval:
        lines["approval"] = f"needed, by someone other than {made.made_by}"
    if made.plan_options.sample is not None:
        lines["sample"] = f"{output.plural(made.plan_options.sample, 'item')} first, then it waits for review"
    return lines


def _table(made: "Plan", rows: int) -> Any:
    """List what is rendered, then what is kept."""
    table = output.table("sku", "why", "words of the prompt", details=("words of the prompt",))
    kept = [each for each in made.outline.decisions if each.keep]
    for each in [*made.outline.renders, *kept][:rows]:
        why = f"kept: {each.keep}" if each.keep else ", ".join(each.reasons)
        table.add_row(each.sku, why, "; ".join(str(change) for change in each.words))
    return table


def _next_step(made: "Plan", out: Path | None) -> str:
    if not made.outline.renders:
        return "Nothing to render."
    if out is None:
        return "Nothing was saved or spent; the same command with --out plan.json makes a plan that can be applied."
    if made.needs_approval and made.plan_options.sample is None:
        return f"Saved as {out}. Approve it with `darkroom catalog approve {out} --by NAME`, then apply it."
    return f"Saved as {out}. Nothing was spent; `darkroom catalog apply {out}` does it."
