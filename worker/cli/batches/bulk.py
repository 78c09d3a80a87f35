"""`darkroom bulk list`, `show` and `cancel`: the actions that were ordered on many batches at once."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from worker.batches.queries.bulk_operations import OperationRow

OperationId = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id, as `darkroom bulk list` shows it.")]


def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20, as_json: output.AsJson = False
) -> None:
    """List bulk operations, the newest first: action, filter, author, and how many batches are done."""
    from worker.batches import bulk_views
    from worker.batches.queries import bulk_operations
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = bulk_operations.newest(tx, owner=None, limit=limit)
    if as_json:
        output.print_json([bulk_views.operation(each) for each in found])
    else:
        _print(found)


def show(operation: OperationId, as_json: output.AsJson = False) -> None:
    """Show a bulk operation, and what came of each batch."""
    from worker.batches import bulk_views
    from worker.batches.queries import bulk_operations
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = _found(tx, operation)
        items = bulk_operations.items(tx, found.id)
    if as_json:
        output.print_json(bulk_views.operation(found) | {"items": [bulk_views.item(each) for each in items]})
        return
    _print([found])
    table = output.table("name", "batch", "was", "jobs", "came of it", "why", numbers=("jobs",), details=("why",))
    for each in items:
        seen = each.target
        jobs = f"{seen.pending + seen.begun:,}"
        table.add_row(seen.name, output.short_id(seen.batch_id), seen.state, jobs, each.state, each.detail or "")
    output.answers().print(table)


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
    """Stop a bulk operation: batches that are done stay so, those that wait are skipped."""
    from worker import wiring
    from worker.batches import bulk_operations, bulk_views
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = _found(tx, operation)
    stopped = bulk_operations.cancel(database, found.id, now=wiring.clock())
    if as_json:
        output.print_json(bulk_views.operation(stopped))
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


def _print(operations: "Sequence[OperationRow]") -> None:
    table = output.table(
        "operation", "action", "filter", "by", "state", "batches", "done", "skipped", "failed",
        numbers=("batches", "done", "skipped", "failed"), whole=("operation",),
    )  # fmt: skip
    for each in operations:
        asked = ", ".join(name if value is True else f"{name} {value}" for name, value in each.selection.items())
        counts = (each.items, each.done, each.skipped, each.failed)
        table.add_row(str(each.id), each.action, asked, each.actor, each.state, *(f"{count:,}" for count in counts))
    output.answers().print(table)
