"""`darkroom schedule run-now`, `cancel`, `runs`: what a schedule does at its times and beside them."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from worker.catalog.rules.schedule import RunState
from worker.cli import output, spending
from worker.cli.catalog.schedule import ScheduleName, found_schedule
from worker.cli.signing import ByOption

if TYPE_CHECKING:
    from worker.catalog.queries.schedule_runs import RunRow
    from worker.core.db.session import Database


def run_now(
    name: ScheduleName,
    yes: spending.YesOption = False,
    max_credits: spending.MaxCreditsOption = None,
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Run a schedule once now, beside its fire times: a node plans and applies, up to the cap.

    Exit status 1 if the run is skipped because another one is in progress.
    """
    from worker import wiring
    from worker.catalog import scheduling
    from worker.catalog.queries import schedule_runs
    from worker.cli import signing
    from worker.cli.context import opened
    from worker.cli.errors import CliError

    context, database = opened()
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    consent = spending.Consent(yes=yes, max_credits=max_credits)
    what = f"Schedule {found.name}, one run"
    if not spending.is_permitted(context, what, found.credit_cap or 0, consent, is_limit=True):
        raise CliError("no run was requested")
    run_id = scheduling.run_now(database, found.id, by=signing.actor(by), now=wiring.clock(), new_id=wiring.new_id)
    with database.transaction() as tx:
        run = schedule_runs.by_id(tx, run_id)
    if as_json:
        output.print_json(_run_as_json(run))
    else:
        said = f": {run.outcome}" if run.outcome else f"; `darkroom schedule runs {found.name}` shows its outcome"
        output.answers().print(f"run {run.id} {run.state}{said}", markup=False)
    if run.state is RunState.SKIPPED:
        raise typer.Exit(1)


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run: its id, as `schedule runs` shows it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the run.")],
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Cancel a run that is queued or waits for approval, and its plan. Nothing is spent."""
    from worker import wiring
    from worker.catalog import approving
    from worker.cli import signing
    from worker.cli.context import opened

    _, database = opened()
    run_id = _run_id(database, run)
    done = approving.cancel(database, run_id, by=signing.actor(by), reason=signing.text(reason), now=wiring.clock())
    if as_json:
        output.print_json(_run_as_json(done))
    else:
        output.answers().print(f"run {done.id} {done.outcome}", markup=False)


def runs(
    name: ScheduleName,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    as_json: output.AsJson = False,
) -> None:
    """List the runs of a schedule: fire time, plan, price, credits spent, outcome."""
    from worker.catalog.queries import schedule_runs
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = schedule_runs.of(tx, found_schedule(tx, name, or_removed=True).id, limit=limit)
    if as_json:
        for each in found:
            output.print_json(_run_as_json(each))
        return
    table = output.table(
        "due",
        "state",
        "price",
        "spent",
        "plan",
        "outcome",
        "run",
        numbers=("price", "spent"),
        whole=("plan", "run"),
        details=("run", "plan", "outcome"),
    )
    for each in found:
        credits_ = ("" if number is None else f"{number:,}" for number in (each.price, each.spent))
        asked = f"{each.due_at:%Y-%m-%d %H:%M}{f' by {each.requested_by}' if each.requested_by else ''}"
        table.add_row(asked, each.state.value, *credits_, str(each.plan_id or ""), each.outcome or "", str(each.id))
    output.answers().print(table)


def _run_id(database: "Database", text: str) -> UUID:
    from worker.catalog.queries import schedule_runs
    from worker.cli.errors import MISUSED, CliError

    try:
        run_id = UUID(text)
    except ValueError as error:
        raise CliError("a run is named by its id: `darkroom schedule runs NAME` shows it", MISUSED) from error
    with database.transaction() as tx:
        if not schedule_runs.is_known(tx, run_id):
            raise CliError(f"there is no run {run_id}: `darkroom schedule runs NAME` shows those of a schedule")
    return run_id


def _run_as_json(run: "RunRow") -> dict[str, Any]:
    return {
        "run": str(run.id),
        "due_at": run.due_at.isoformat(),
        "state": run.state.value,
        "requested_by": run.requested_by,
        "plan": run.plan_id and str(run.plan_id),
        "batch": run.batch_id and str(run.batch_id),
        "price": run.price,
        "spent": run.spent,
        "outcome": run.outcome,
        "ended_at": run.ended_at and run.ended_at.isoformat(),
    }
