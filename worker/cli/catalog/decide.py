"""`darkroom catalog sheet`, `decide`: new images as pages to decide on, and what was decided takes effect."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing, spending
from worker.cli.batches import sheet as batches_sheet

if TYPE_CHECKING:
    from worker.catalog.applying import Applied
    from worker.catalog.decisions import Effect
    from worker.catalog.planning import Plan
    from worker.catalog.queries.catalogs import CatalogRow
    from worker.catalog.review import Sheet
    from worker.catalog.rules.decisions import Decision
    from worker.cli.context import Context
    from worker.core.db.session import Database


@dataclass(frozen=True, kw_only=True)
class _Again:
    """What is to be rendered again, and its outcome."""

    plan: "Plan"
    applied: "Applied | None" = None


def decide(
    name: output.CatalogName,
    *,
    by: signing.DeciderOption,
    decisions: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DECISIONS...]", help="The files that sheets saved; the later one counts."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="SKU|IMAGE",
            help="Accept this item's image: the one that waits, else the last one that was rejected. May be repeated.",
        ),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option("--reject", metavar="SKU|IMAGE", help="Reject this item's waiting image. May be repeated."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for each --reject; kept with the images.")
    ] = None,
    saved: Annotated[
        bool, typer.Option("--saved", help="Apply what reviewers saved in the console, each in its author's name.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Render exactly the rejected ones again, at once.")] = False,
    yes: spending.YesOption = False,
    max_credits: spending.MaxCreditsOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Apply decisions: publish the accepted images together, and save a plan of the rejected ones.

    An image that was rejected can be accepted while none that was rendered later is live.
    Spends nothing without --apply. Exit status 1 if a decision was refused, or if all were decided before.
    """
    from worker import wiring
    from worker.catalog import decisions as deciding
    from worker.cli import signing
    from worker.cli.catalog.review import opened
    from worker.cli.errors import MISUSED, CliError

    if not (decisions or accept or reject or saved):
        raise CliError("name a file of decisions, or images with --accept and --reject, or say --saved", MISUSED)
    context, database, catalog = opened(name)
    consent = spending.Consent(yes=yes, max_credits=max_credits)
    person = signing.actor(by)
    named = _named(database, catalog, accept or [], reject or [], reason)
    # What the command itself says is said last.
    read = [*(_saved(database, catalog) if saved else []), *_read(decisions or [], catalog.name)]
    made = {each.render_id: each for each in [*read, *named]}
    effect = deciding.decide(
        database,
        wiring.store(context.settings, database),
        catalog.id,
        list(made.values()),
        by=person,
        now=wiring.clock(),
        new_id=wiring.new_id,
    )
    again = _plan(context, database, catalog, effect, person) if effect.rejected else None
    if as_json:
        again = _applied(context, database, again, consent) if again and apply else again
        output.print_json({"catalog": name, **_as_json(effect), **_again_as_json(again)})
    else:
        _say(effect, again)
        if again and apply:
            _say_applied(context, database, _applied(context, database, again, consent))
    if effect.refused or not (effect.accepted or effect.rejected):
        raise typer.Exit(1)


def _saved(database: "Database", catalog: "CatalogRow") -> "list[Decision]":
    from worker.catalog.queries import saved_decisions

    with database.transaction() as tx:
        return saved_decisions.waiting(tx, catalog.id)


def _read(files: list[Path], catalog: str) -> "list[Decision]":
    from worker.catalog.rules.decisions import DecisionsFaulty, read, read_all
    from worker.cli.errors import CliError

    contents = []
    for file in files:
        try:
            contents.append(file.read_bytes())
            read(contents[-1], catalog=catalog)
        except OSError as error:
            raise CliError(f"{file} cannot be read: {error.strerror or error}") from error
        except DecisionsFaulty as error:
            raise CliError(f"{file} cannot be used, nothing was decided: {error}") from error
    return read_all(contents, catalog=catalog)


def _named(
    database: "Database", catalog: "CatalogRow", accept: list[str], reject: list[str], reason: str | None
) -> "list[Decision]":
    """Return the decisions that the command line itself names; raise CliError when one names no image."""
    from worker import wiring
    from worker.catalog.queries import rejections
    from worker.catalog.rules.decisions import Decision, Verdict, reason_of
    from worker.cli import signing
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    _check_names(accept, reject, reason)
    with database.transaction() as tx:
        found = rejections.named(tx, catalog.id, [*accept, *reject])
    missing = [name for name in (*accept, *reject) if name not in found]
    if missing:
        raise CliError(
            f"nothing was decided: no image of {', '.join(map(plain, missing[:10]))} waits for a decision, and none was"
            f" rejected: `darkroom catalog history {catalog.name} SKU` shows what was decided"
        )
    why = None if reason is None else reason_of(signing.text(reason))
    verdicts = {**dict.fromkeys(accept, Verdict.ACCEPT), **dict.fromkeys(reject, Verdict.REJECT)}
    return [
        Decision(
            sku=found[name][0],
            render_id=found[name][1],
            verdict=verdict,
            reason=why if verdict is Verdict.REJECT else None,
            said_at=wiring.clock(),
        )
        for name, verdict in verdicts.items()
    ]


def _check_names(accept: list[str], reject: list[str], reason: str | None) -> None:
    from worker.cli.errors import MISUSED, CliError

    if reason is not None and not reject:
        raise CliError("--reason is why an image is rejected: name it with --reject", MISUSED)
    both = sorted({*accept} & {*reject})
    if both:
        raise CliError(f"{both[0]} is both accepted and rejected: choose one", MISUSED)


def _plan(context: "Context", database: "Database", catalog: "CatalogRow", effect: "Effect", by: str) -> _Again | None:
    """Save a plan of the rejected ones alone; None, and said, when one of them cannot be rendered as it is."""
    from worker import wiring
    from worker.catalog import planning
    from worker.cli.catalog import lookup

    try:
        with database.bulk_transaction() as tx:
            now = wiring.clock()
            row = lookup.catalog(tx, catalog.name)
            made = planning.make(
                tx,
                row,
                plan_id=wiring.new_id(),
                by=by,
                now=now,
                only=effect.rejected,
                approve_above=context.settings.approve_above,
            )
            planning.save(tx, made)
    except planning.PlanFaulty as error:
        output.notes().print(f"The rejected ones cannot be rendered again as they are:\n{error}", markup=False)
        return None
    return _Again(plan=made)


def _applied(context: "Context", database: "Database", again: _Again, consent: spending.Consent) -> _Again:
    """Make the plan a batch if the person at the terminal agrees and no other approval is needed."""
    from worker import wiring
    from worker.catalog import applying

    plan = again.plan
    what = f"{output.plural(len(plan.outline.renders), 'image')} again"
    if plan.needs_approval or not plan.outline.renders:
        return again
    if not spending.is_permitted(context, what, plan.outline.price, consent):
        return again
    account_id = wiring.account(context.settings, database)
    done = applying.apply(database, plan.id, account_id=account_id, now=wiring.clock(), new_id=wiring.new_id)
    return _Again(plan=plan, applied=done)


def _say(effect: "Effect", again: _Again | None) -> None:
    console = output.answers()
    same = f", {len(effect.unchanged):,} decided before" if effect.unchanged else ""
    console.print(f"{len(effect.accepted):,} accepted and live, {len(effect.rejected):,} rejected{same}.")
    if effect.taken_back:
        console.print(f"Accepted after a rejection: {', '.join(effect.taken_back[:10])}.", markup=False)
    if effect.passed_over:
        console.print(
            f"The newer image that waited was rejected for it: {', '.join(effect.passed_over[:10])}.", markup=False
        )
    for each in effect.refused:
        output.notes().print(f"refused: {each.sku} ({each.render_id}): {each.reason}", markup=False, style="yellow")
    if effect.unchanged and not (effect.accepted or effect.rejected or effect.refused):
        output.notes().print("Everything in it was decided before: is this the file that was saved last?")
    if again is None or not again.plan.outline.renders:
        return
    plan = again.plan
    price = f"{output.plural(len(plan.outline.renders), 'image')}, {output.plural(plan.outline.price, 'credit')}"
    if plan.needs_approval:
        first = f"`darkroom catalog approve {plan.id} --by NAME` by someone other than {plan.made_by}, then "
    else:
        first = ""
    console.print(
        f"Exactly the rejected ones again ({price}): {first}`darkroom catalog apply {plan.id}`.", markup=False
    )


def _say_applied(context: "Context", database: "Database", again: _Again) -> None:
    from worker.cli.catalog import apply as catalog_apply

    if again.applied is not None:
        catalog_apply.say(context, database, again.applied, str(again.plan.id))
    else:
        output.notes().print("Nothing was spent.")


def _as_json(effect: "Effect") -> dict[str, Any]:
    refused = [{"sku": e.sku, "render": str(e.render_id), "reason": e.reason} for e in effect.refused]
    counts = {
        each: list(getattr(effect, each)) for each in ("accepted", "taken_back", "rejected", "passed_over", "unchanged")
    }
    return {**counts, "refused": refused}


def _again_as_json(again: _Again | None) -> dict[str, Any]:
    if again is None:
        return {"plan": None, "price": 0, "batch": None}
    batch = again.applied and again.applied.batch_id
    return {"plan": str(again.plan.id), "price": again.plan.outline.price, "batch": str(batch) if batch else None}


LIMIT = 200


def sheet(
    name: output.CatalogName,
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="The HTML file. [default: NAME-review.html here]")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=2_000, help="Most images on one sheet; more make several, numbered sheets.")
    ] = LIMIT,
    full: batches_sheet.Full = False,
    archive: batches_sheet.Archive = None,
    as_json: output.AsJson = False,
) -> None:
    """Write HTML pages of the images that wait for review: old beside new, keys to accept and reject."""
    from worker import wiring
    from worker.catalog import review
    from worker.cli.catalog.review import opened

    batches_sheet.check_options(to=to, full=full, archive=archive)
    context, database, catalog = opened(name)
    place = archive or to or Path(f"{review.stem_of(name)}-review.html")
    store = wiring.store(context.settings, database)
    with batches_sheet.place_for(store, place, full=full, is_archive=archive is not None) as (page, originals):
        sheets = review.write_sheets(
            database,
            originals,
            catalog,
            page,
            per_sheet=limit,
            now=wiring.clock(),
            new_id=wiring.new_id,
            note="These images come from the sandbox: drawn, not rendered, and free." if context.is_play else "",
        )
    files = [str(place.absolute())] if archive else [str(each.path.absolute()) for each in sheets]
    if as_json:
        shown = files * len(sheets) if archive else files
        written = [{"file": file, "images": each.images} for file, each in zip(shown, sheets, strict=True)]
        count = sum(each.images for each in sheets)
        output.print_json({"catalog": name, "file": files[0], "images": count, "sheets": written})
        return
    _say_packed(sheets, name, files)


def _say_packed(sheets: "list[Sheet]", name: str, files: list[str]) -> None:
    for each in files:
        output.answers().print(each, markup=False, soft_wrap=True)
    count = sum(each.images for each in sheets)
    file = sheets[0].decisions_file if len(sheets) == 1 else f"{sheets[0].decisions_file.removesuffix('1.json')}*.json"
    pages = "the page" if len(sheets) == 1 else "the pages"
    output.notes().print(
        f"{output.plural(count, 'image')} to decide on. Open {pages}, decide, save, and run"
        f" `darkroom catalog decide {name} {file} --by YOU`.",
        markup=False,
    )
