"""`darkroom schedule`: catalogs that are refreshed by themselves."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from worker.cli import output
from worker.cli.signing import ByOption
from worker.domain.schedule import MissedPolicy, OverlapPolicy, RunState

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.db.schedule_runs import RunRow
    from worker.db.schedules import ScheduleRow
    from worker.db.session import Database

app = typer.Typer(
    no_args_is_help=True, help="Refresh catalogs on a schedule; nodes keep it, there is nothing to start."
)

UPCOMING = 5
ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.")]


class Missed(StrEnum):
    """What becomes of fire times at which no node was alive, as it is typed."""

    RUN_ONCE = "run-once"
    SKIP = "skip"


@app.command()
def add(  # noqa: PLR0917 - typer gives each by its name
    name: ScheduleName,
    catalog: Annotated[str, typer.Option(help="Which catalog it refreshes.")],
    cron: Annotated[str, typer.Option(help='Minute, hour, day, month, weekday: "0 2 * * 1" is Mondays at 02:00.')],
    cap: Annotated[int, typer.Option(min=1, help="Most credits that one run may commit.")],
    tz: Annotated[str, typer.Option(help="The time zone of the cron line, such as Europe/Paris.")] = "UTC",
    overlap: Annotated[
        OverlapPolicy, typer.Option(help="What a run does while the one before it is not over.")
    ] = OverlapPolicy.SKIP,
    missed: Annotated[
        Missed, typer.Option(help="What becomes of fire times at which no node was alive.")
    ] = Missed.RUN_ONCE,
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a schedule: from now on nodes plan and apply at each fire time, up to the cap; nothing is spent at once."""
    from worker import wiring
    from worker.catalog.cron import BadTiming, timing
    from worker.cli import signing
    from worker.cli.catalog_review import opened
    from worker.cli.errors import MISUSED, CliError
    from worker.db import schedules
    from worker.domain.fault import UnfitError
    from worker.domain.plain_text import label

    now = wiring.clock()
    try:
        checked = timing(cron, tz, now=now)
        known = label(name)
    except UnfitError as unfit:
        raise CliError(f"the name {unfit.reason}", MISUSED) from unfit
    except BadTiming as error:
        raise CliError(str(error), MISUSED) from error
    context, database, found = opened(catalog)
    values = {
        "id": wiring.new_id(),
        "name": known,
        "catalog_id": found.id,
        "cron": checked.cron,
        "tz": checked.tz,
        "credit_cap": cap,
        "overlap": overlap,
        "missed": MissedPolicy.RUN_ONCE if missed is Missed.RUN_ONCE else MissedPolicy.SKIP,
        "now": now,
        "created_by": signing.actor(by),
        "account_id": wiring.account(context.settings, database),
    }
    try:
        with database.transaction() as tx:
            schedules.add(tx, values)
    except schedules.NameTaken as error:
        raise CliError(str(error)) from error
    _show(database, name, now, as_json=as_json)


@app.command("list")
def list_(as_json: output.AsJson = False) -> None:
    """List the schedules with their next fire times."""
    from worker import wiring
    from worker.db import schedules

    _, database = _opened()
    now = wiring.clock()
    with database.transaction() as tx:
        found = schedules.every(tx)
    if as_json:
        output.print_json([_as_json(each, now) for each in found])
        return
    if not found:
        output.notes().print("there is no schedule: `darkroom schedule add` makes one")
        return
    table = output.table("schedule", "catalog", "cron", "tz", "cap", "overlap", "missed", "next", numbers=("cap",))
    for each in found:
        cap = "" if each.credit_cap is None else f"{each.credit_cap:,}"
        words = (each.overlap.value, each.missed.value.replace("_", "-"))
        table.add_row(each.name, each.catalog, each.cron, each.tz, cap, *words, "\n".join(_next_shown(each, now)))
    output.answers().print(table)


@app.command()
def pause(name: ScheduleName, as_json: output.AsJson = False) -> None:
    """Let a schedule rest; a run that is under way goes on."""
    from worker import wiring
    from worker.db import schedules

    _, database = _opened()
    now = wiring.clock()
    with database.transaction() as tx:
        schedules.pause(tx, _found(tx, name).id, now=now)
    _show(database, name, now, as_json=as_json)


@app.command()
def resume(name: ScheduleName, as_json: output.AsJson = False) -> None:
    """Let a schedule count again, from now on; what was due while it rested is not made up for."""
    from worker import wiring
    from worker.db import schedules

    _, database = _opened()
    now = wiring.clock()
    with database.transaction() as tx:
        schedules.resume(tx, _found(tx, name).id, now=now)
    _show(database, name, now, as_json=as_json)


@app.command()
def remove(name: ScheduleName, by: ByOption = None, as_json: output.AsJson = False) -> None:
    """Remove a schedule and its runs that wait; the others stay in the books, images under way come home."""
    from worker import wiring
    from worker.catalog import ending
    from worker.cli import signing

    _, database = _opened()
    with database.transaction() as tx:
        found = _found(tx, name)
    ending.remove(database, found.id, by=signing.actor(by), now=wiring.clock())
    if as_json:
        output.print_json({"schedule": found.name, "removed": True})
    else:
        output.answers().print(f"schedule {found.name} is removed", markup=False)


@app.command("run-now")
def run_now(
    name: ScheduleName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it costs anything.")] = False,
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Run a schedule once now, beside its fire times: a node plans and applies, up to the cap.

    Ends with 1 when the run is left out, because another one is not over.
    """
    from worker import wiring
    from worker.catalog import firing
    from worker.cli import signing
    from worker.cli.confirm import confirm
    from worker.cli.errors import CliError
    from worker.db import schedule_runs

    context, database = _opened()
    with database.transaction() as tx:
        found = _found(tx, name)
    cap = "credits without a cap" if found.credit_cap is None else f"up to {output.plural(found.credit_cap, 'credit')}"
    if not confirm(context, f"A run of {found.name}: {cap}", yes=yes):
        raise CliError("nothing was asked for")
    try:
        run_id = firing.run_now(database, found.id, by=signing.actor(by), now=wiring.clock(), new_id=wiring.new_id)
    except firing.ScheduleGone as error:
        raise CliError(str(error)) from error
    with database.transaction() as tx:
        run = schedule_runs.by_id(tx, run_id)
    if as_json:
        output.print_json(_run_as_json(run))
    else:
        said = f": {run.outcome}" if run.outcome else f"; `darkroom schedule runs {found.name}` shows what comes of it"
        output.answers().print(f"run {run.id} {run.state}{said}", markup=False)
    if run.state is RunState.SKIPPED:
        raise typer.Exit(1)


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run: its id, as `schedule runs` shows it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the run.")],
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """End a run that waits, in the queue or for an approval, with its plan; nothing was spent, and nothing will be."""
    from worker import wiring
    from worker.catalog import ending
    from worker.cli import signing
    from worker.cli.errors import CliError

    _, database = _opened()
    run_id = _run_id(database, run)
    try:
        done = ending.cancel(database, run_id, by=signing.actor(by), reason=signing.text(reason), now=wiring.clock())
    except ending.RunGoesOn as error:
        raise CliError(str(error)) from error
    if as_json:
        output.print_json(_run_as_json(done))
    else:
        output.answers().print(f"run {done.id} {done.outcome}", markup=False)


@app.command()
def runs(
    name: ScheduleName,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    as_json: output.AsJson = False,
) -> None:
    """List what came of each fire time: plan, price, credits spent, outcome."""
    from worker.db import schedule_runs

    _, database = _opened()
    with database.transaction() as tx:
        found = schedule_runs.of(tx, _found(tx, name, or_removed=True).id, limit=limit)
    if as_json:
        for each in found:
            output.print_json(_run_as_json(each))
        return
    table = output.table("due", "state", "price", "spent", "plan", "outcome", "run", numbers=("price", "spent"))
    for each in found:
        credits_ = ("" if number is None else f"{number:,}" for number in (each.price, each.spent))
        asked = f"{each.due_at:%Y-%m-%d %H:%M}{f' by {each.requested_by}' if each.requested_by else ''}"
        table.add_row(asked, each.state.value, *credits_, str(each.plan_id or ""), each.outcome or "", str(each.id))
    output.answers().print(table)


def _opened() -> "tuple[Context, Database]":
    from worker import wiring
    from worker.cli.context import resolve

    context = resolve()
    return context, wiring.database(context.settings, connections=1)


def _run_id(database: "Database", text: str) -> UUID:
    from worker.cli.errors import MISUSED, CliError
    from worker.db import schedule_runs

    try:
        run_id = UUID(text)
    except ValueError as error:
        raise CliError("a run is named by its id: `darkroom schedule runs NAME` shows it", MISUSED) from error
    with database.transaction() as tx:
        if not schedule_runs.is_known(tx, run_id):
            raise CliError(f"there is no run {run_id}: `darkroom schedule runs NAME` shows those of a schedule")
    return run_id


def _found(tx: Any, name: str, *, or_removed: bool = False) -> "ScheduleRow":
    from worker.cli.errors import CliError
    from worker.db import schedules
    from worker.domain.fault import plain

    found = schedules.by_name(tx, name, or_removed=or_removed)
    if found is None:
        raise CliError(f"there is no schedule {plain(name)!r}: `darkroom schedule list` shows all")
    return found


def _show(database: "Database", name: str, now: datetime, *, as_json: bool) -> None:
    with database.transaction() as tx:
        found = _found(tx, name)
    if as_json:
        output.print_json(_as_json(found, now))
        return
    console = output.answers()
    console.print(f"schedule {found.name}: {found.catalog}, {found.cron} {found.tz}", markup=False)
    for line in _next_shown(found, now):
        console.print(f"  {line}", markup=False)


def _next(found: "ScheduleRow", now: datetime) -> list[datetime]:
    from worker.catalog.cron import Timing

    return [] if found.paused_at else Timing(cron=found.cron, tz=found.tz).next_times(now, UPCOMING)


def _next_shown(found: "ScheduleRow", now: datetime) -> list[str]:
    """Give the next fire times on the schedule's own clock, with its distance from UTC."""
    from zoneinfo import ZoneInfo

    if found.paused_at:
        return [f"paused since {found.paused_at:%Y-%m-%d %H:%M} UTC"]
    return [f"{due.astimezone(ZoneInfo(found.tz)):%a %Y-%m-%d %H:%M %z}" for due in _next(found, now)]


def _as_json(found: "ScheduleRow", now: datetime) -> dict[str, Any]:
    return {
        "schedule": found.name,
        "catalog": found.catalog,
        "cron": found.cron,
        "tz": found.tz,
        "cap": found.credit_cap,
        "overlap": found.overlap.value,
        "missed": found.missed.value.replace("_", "-"),
        "paused_at": found.paused_at and found.paused_at.isoformat(),
        "next": [due.isoformat() for due in _next(found, now)],
    }


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
