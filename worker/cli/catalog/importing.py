"""`darkroom catalog import`, `remove`: a source of items becomes a catalog or changes it; a catalog is removed."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing
from worker.intake.manifest.source import Form

if TYPE_CHECKING:
    from worker.catalog.importing import Import
    from worker.catalog.items import Item
    from worker.catalog.rules.recipe import Recipe
    from worker.cli.context import Context
    from worker.core.rules.fault import Fault
    from worker.intake.manifest import Row
    from worker.intake.reference_store import ReferenceStore
_SHOWN = 10
_FAULTS_SHOWN = 50


def import_(  # noqa: PLR0917 - typer gives each by its name
    name: output.CatalogName,
    items: Annotated[
        Path | None, typer.Argument(metavar="[ITEMS]", help="A CSV or JSONL file; without: --sql.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A TOML file: prompt, params, review ... [default: the catalog's own]")
    ] = None,
    sql: Annotated[str | None, typer.Option(help="A query that returns the items, one per row.")] = None,
    database_url: Annotated[
        str | None,
        typer.Option(envvar="DARKROOM_ITEMS_URL", show_envvar=True, help="The database that --sql queries, read-only."),
    ] = None,
    form: Annotated[Form | None, typer.Option("--format", help="The file's form. [default: by its name]")] = None,
    allow_extra: output.AllowExtra = None,
    remove_many: Annotated[
        bool, typer.Option("--remove-many", help="Allow the import to remove most of the items.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Replace a catalog's items with those of a file or a query, and show the changes. Spends nothing."""
    from worker import wiring
    from worker.catalog import importing
    from worker.catalog.items import ItemsRefused
    from worker.cli.context import resolve
    from worker.intake.reference_store import ReferenceStore

    _check_source(items, sql, database_url)
    context = resolve()
    wanted = _recipe(context, _name(name), recipe)
    database = wiring.database(context.settings, connections=1)
    reference_store = ReferenceStore(wiring.store(context.settings, database))
    try:
        checked = _checked(
            items, sql, database_url, form=form, recipe=wanted, reference_store=reference_store, extra=allow_extra or ()
        )
        done = importing.import_items(
            database,
            name,
            wanted,
            checked,
            reference_store.facts.values(),
            now=wiring.clock(),
            new_id=wiring.new_id,
            may_remove_many=remove_many,
        )
    except ItemsRefused as refused:
        _refuse(refused.faults, as_json=as_json)
    if as_json:
        output.print_json(_as_json(name, done))
    else:
        _say(name, done)


def _check_source(items: Path | None, sql: str | None, database_url: str | None) -> None:
    from worker.cli.errors import MISUSED, CliError

    if (items is None) == (sql is None):
        raise CliError("say where the items are: a file, or --sql with --database-url, and not both", MISUSED)
    if sql is not None and database_url is None:
        raise CliError("--sql needs --database-url, or DARKROOM_ITEMS_URL in the environment", MISUSED)


def _name(name: str) -> str:
    from worker.catalog.importing import checked_name
    from worker.cli.errors import MISUSED, CliError
    from worker.core.rules.fault import UnfitError

    try:
        return checked_name(name)
    except UnfitError as unfit:
        raise CliError(f"the catalog's name {unfit.reason}", MISUSED) from unfit


def _recipe(context: "Context", name: str, path: Path | None) -> "Recipe":
    from worker import wiring
    from worker.catalog import importing
    from worker.catalog.queries import catalogs
    from worker.cli.errors import MISUSED, CliError

    if path is not None:
        return importing.read_recipe(path)
    with wiring.database(context.settings, connections=1).transaction() as tx:
        found = catalogs.by_name(tx, name, or_removed=True)
    if found is None:
        raise CliError(f"the catalog {name!r} is new: say how its images are made with --recipe recipe.toml", MISUSED)
    return found.recipe


def _checked(
    items: Path | None,
    sql: str | None,
    database_url: str | None,
    *,
    form: Form | None,
    recipe: "Recipe",
    reference_store: "ReferenceStore",
    extra: "Collection[str]",
) -> "list[Item]":
    from worker.catalog.items import prepare

    base = Path.cwd() if items is None else items.absolute().parent
    return prepare(
        _rows(items, sql, database_url, form, recipe.sku),
        recipe,
        base=base,
        reference_store=reference_store,
        extra=extra,
    )


def _rows(
    items: Path | None, sql: str | None, database_url: str | None, form: Form | None, sku: str
) -> "Iterator[Row | Fault]":
    from worker.catalog import importing

    if items is not None:
        return importing.from_file(items, form=form, sku=sku)
    return importing.from_query(database_url or "", sql or "")


def _refuse(faults: "tuple[Fault, ...]", *, as_json: bool) -> None:
    from worker.batches import views
    from worker.cli.errors import CliError
    from worker.cli.intake import manifests

    if as_json:
        output.print_json({"state": "refused", "faults": [views.fault(fault) for fault in faults]})
    else:
        console = output.notes()
        console.print(manifests.fault_table(faults[:_FAULTS_SHOWN]))
        if len(faults) > _FAULTS_SHOWN:
            console.print(f"... and {len(faults) - _FAULTS_SHOWN:,} more; --json gives all")
    lines = len({fault.line for fault in faults})
    raise CliError(f"nothing was imported: {output.plural(lines, 'invalid row')}")


def _as_json(name: str, done: "Import") -> dict[str, Any]:
    return {
        "catalog": name,
        "state": "imported",
        "is_new": done.is_new,
        "has_new_recipe": done.has_new_recipe,
        "items": done.items,
        "unchanged": done.unchanged,
        "added": list(done.merge.added),
        "changed": list(done.merge.changed),
        "returned": list(done.merge.returned),
        "removed": list(done.merge.removed),
        "kept_not_used": list(done.kept),
    }


def _say(name: str, done: "Import") -> None:
    from worker.cli.intake import manifests

    console = output.answers()
    recipe = "with a new recipe, " if done.has_new_recipe else ""
    console.print(f"catalog {name!r}: {recipe}{output.plural(done.items, 'item')}", markup=False)
    merge = done.merge
    fates = {"added": merge.added, "changed": merge.changed, "came back": merge.returned, "removed": merge.removed}
    for fate, skus in fates.items():
        more = f" and {len(skus) - _SHOWN:,} more" if len(skus) > _SHOWN else ""
        which = f"  {', '.join(skus[:_SHOWN])}{more}" if skus else ""
        console.print(f"  {fate:<10} {len(skus):>7,}{which}", markup=False)
    console.print(f"  {'unchanged':<10} {done.unchanged:>7,}")
    if done.kept:
        console.print(f"Kept with the items, not used by the recipe: {manifests.kept(done.kept)}.", markup=False)
    console.print(f"See what that means, and its price, with `darkroom catalog plan {name}`.", markup=False)


if TYPE_CHECKING:
    from worker.catalog.importing import Removal


def remove(
    name: output.CatalogName,
    yes: output.WithoutAsking = False,
    by: signing.ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Remove a catalog and refuse its open plans. Images, history and ledger stay on record."""
    from worker import wiring
    from worker.catalog import importing
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        found = lookup.catalog(tx, name)
    if not yes:
        _ask_removal(importing.preview_removal(database, found.id, name))
    done = importing.remove(database, found.id, name, by=signing.actor(by), now=wiring.clock())
    if as_json:
        output.print_json({"catalog": name, "removed": True, "items": done.counts.items, "refused_plans": done.plans})
        return
    output.answers().print(
        f"catalog {name} is removed: {_removal_said(done)}. `darkroom catalog import` under its name brings it back.",
        markup=False,
    )


def _ask_removal(effect: "Removal") -> None:
    """Ask a person at a terminal; raise CliError without one, and when the answer is no."""
    from worker.cli.errors import MISUSED, CliError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(
            f"catalog {effect.name} was not removed ({_removal_said(effect)}): add --yes to remove it", MISUSED
        )
    output.notes().print(f"Remove catalog {effect.name}: {_removal_said(effect)}.", markup=False)
    if not typer.confirm("Remove it?", default=False, err=True):
        raise CliError("nothing was changed")


def _removal_said(effect: "Removal") -> str:
    counts = effect.counts
    parts = [output.plural(counts.items, "item"), f"{counts.live:,} of them live"]
    if counts.candidates:
        parts.append(f"{counts.candidates:,} waiting for review")
    if effect.plans:
        parts.append(f"{output.plural(effect.plans, 'open plan')} refused")
    return ", ".join(parts)
