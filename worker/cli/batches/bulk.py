"""`darkroom bulk`: the actions that were ordered on many batches or images at once; and `decide`."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.batches.rules.bulk_operation import BulkAction
from worker.cli import output, signing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from worker.batches.queries.bulk_operations import ItemRow, OperationRow

OperationId = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id, as `darkroom bulk list` shows it.")]


def list_(limit: output.HowMany = 20, as_json: output.AsJson = False) -> None:
    """List bulk operations, the newest first: action, filter, author, and how much is done."""
    from worker.batches import views
    from worker.batches.queries import bulk_operations
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = bulk_operations.newest(tx, owner=None, limit=limit)
    if as_json:
        output.print_json([views.operation(each) for each in found])
    else:
        _print(found)


def show(operation: OperationId, as_json: output.AsJson = False) -> None:
    """Show a bulk operation, with the outcome for each batch or image."""
    from worker.batches import views
    from worker.batches.queries import bulk_operations
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = _found(tx, operation)
        items = bulk_operations.items(tx, found.id)
    if as_json:
        output.print_json(views.operation(found) | {"items": [views.item(each) for each in items]})
        return
    _print([found])
    if found.action is BulkAction.DECIDE:
        _print_images(items)
        return
    table = output.table("name", "batch", "was", "jobs", "outcome", "why", numbers=("jobs",), details=("why",))
    for each in items:
        seen = each.target
        assert seen is not None
        jobs = f"{seen.pending + seen.begun:,}"
        table.add_row(seen.name, output.short_id(seen.batch_id), seen.state, jobs, each.state, each.detail or "")
    output.answers().print(table)


def decide(  # noqa: PLR0917 - typer gives each by its name
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", help="Whose undecided images.")],
    accept: Annotated[bool, typer.Option("--accept", help="Accept them.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject them; --reason is kept with each.")] = False,
    sku: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Filter: by SKU; * stands for any characters, ? for one.")
    ] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help="Filter: images that this plan asked for.")] = None,
    as_ordered: Annotated[bool, typer.Option("--as-ordered", help="Filter: those as they were ordered.")] = False,
    not_as_ordered: Annotated[
        bool, typer.Option("--not-as-ordered", help="Filter: those of another size or format than was ordered.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="All undecided images, instead of a filter.")] = False,
    yes: output.WithoutAsking = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which images.")] = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Save one decision on many undecided images of a catalog; nothing goes live before it is applied.

    A filter is looked up once. An image that another person looks at or has decided on meanwhile is left alone.
    """
    from worker.catalog import reviewing
    from worker.catalog.queries.review_queue import ImageFilter
    from worker.catalog.reviewing import BulkDecision
    from worker.catalog.rules.decisions import Verdict
    from worker.cli.batches import bulk_run
    from worker.cli.catalog.review import opened
    from worker.cli.errors import MISUSED, CliError

    if accept is reject or (as_ordered and not_as_ordered):
        raise CliError(
            "choose one: --accept or --reject, and at most one of --as-ordered and --not-as-ordered", MISUSED
        )
    wanted = ImageFilter(
        sku=sku, plan=_plan_id(plan), as_ordered=True if as_ordered else False if not_as_ordered else None
    )
    if wanted.is_empty is not all_:
        raise CliError("say which images: a filter of --sku, --plan and --as-ordered, or --all", MISUSED)
    context, database, found = opened(catalog)
    targets = reviewing.preview_bulk(database, found, wanted)
    if not targets:
        raise CliError("no undecided image matches: nothing was changed")
    order = BulkDecision(verdict=Verdict.ACCEPT if accept else Verdict.REJECT, wanted=wanted)
    if dry_run or not yes:
        bulk_run.show_images(order.verdict.value, targets, as_json=as_json)
        if dry_run:
            return
        bulk_run.confirm(f"{order.verdict.value.capitalize()} {output.plural(len(targets), 'image')}?")
    author = signing.author(by, reason)
    bulk_run.start(
        context, database, reviewing.create_bulk(database, author, found, order, targets), author, as_json=as_json
    )


def _plan_id(name: str | None) -> UUID | None:
    from worker.cli.errors import MISUSED, CliError

    try:
        return None if name is None else UUID(name)
    except ValueError:
        raise CliError("--plan: a plan is named by its id: `darkroom catalog show NAME` lists them", MISUSED) from None


def start(
    operation: OperationId,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Start a previewed bulk operation, or agree to one of another person that needs two."""
    from worker.cli.batches import bulk_run
    from worker.cli.context import opened

    context, database = opened()
    with database.transaction() as tx:
        found = _found(tx, operation)
    bulk_run.start(context, database, found, signing.author(by, reason), as_json=as_json)


def cancel(operation: OperationId, as_json: output.AsJson = False) -> None:
    """Stop a bulk operation: what is done stays so, what waits is skipped."""
    from worker import wiring
    from worker.batches import bulk_operations, views
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = _found(tx, operation)
    stopped = bulk_operations.cancel(database, found.id, now=wiring.clock())
    if as_json:
        output.print_json(views.operation(stopped))
    else:
        output.answers().print(
            f"bulk operation {stopped.id} is cancelled: {stopped.done:,} done, {stopped.skipped:,} skipped"
        )


def _found(tx: "Connection", name: str) -> "OperationRow":
    from worker.batches.queries import bulk_operations
    from worker.cli.errors import CliError

    try:
        found = bulk_operations.read(tx, UUID(name))
    except ValueError:
        found = None
    if found is None:
        raise CliError(f"there is no bulk operation {name!r}: `darkroom bulk list` lists them")
    return found


def _print_images(items: "Sequence[ItemRow]") -> None:
    table = output.table("sku", "image", "outcome", "why", whole=("image",), details=("why", "image"))
    for each in items:
        assert each.image is not None
        table.add_row(each.image.sku, str(each.image.render_id), each.state, each.detail or "")
    output.answers().print(table)


def _print(operations: "Sequence[OperationRow]") -> None:
    table = output.table(
        "operation", "action", "filter", "by", "state", "items", "done", "skipped", "failed",
        numbers=("items", "done", "skipped", "failed"), whole=("operation",),
    )  # fmt: skip
    for each in operations:
        asked = ", ".join(name if value is True else f"{name} {value}" for name, value in each.selection.items())
        counts = (each.items, each.done, each.skipped, each.failed)
        table.add_row(str(each.id), each.action, asked, each.actor, each.state, *(f"{count:,}" for count in counts))
    output.answers().print(table)
