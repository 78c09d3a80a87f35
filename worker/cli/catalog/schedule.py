"""`darkroom schedule`: catalogs that are refreshed by themselves."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.cli import output
from worker.cli.signing import ByOption

if TYPE_CHECKING:
    from worker.catalog.queries.schedules import ScheduleRow
    from worker.core.db.session import Database
UPCOMING = 5


class Missed(StrEnum):
    """How fire times are handled at which no node was running, as it is typed."""

    RUN_ONCE = "run-once"
    SKIP = "skip"


ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.")]


def add(  # noqa: PLR0917 - typer gives each by its name
    name: ScheduleName,
    catalog: Annotated[str, typer.Option(help="Which catalog it refreshes.")],
    cron: Annotated[str, typer.Option(help='Minute, hour, day, month, weekday: "0 2 * * 1" is Mondays at 02:00.')],
    cap: Annotated[int, typer.Option(min=1, help="Most credits that one run may commit.")],
    tz: Annotated[str, typer.Option(help="The time zone of the cron line, such as Europe/Paris.")] = "UTC",
    overlap: Annotated[
        OverlapPolicy, typer.Option(help="What to do when a run is due while the previous one is in progress.")
    ] = OverlapPolicy.SKIP,
    missed: Annotated[
        Missed, typer.Option(help="What to do about fire times at which no node was running.")
    ] = Missed.RUN_ONCE,
    by: ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a schedule: nodes plan and apply at each fire time, up to the cap. Spends nothing now."""
    from worker import wiring
    from worker.catalog.cron import BadTiming, timing
    from worker.catalog.queries import schedules
    from worker.cli import signing
    from worker.cli.catalog.review import opened
    from worker.cli.errors import MISUSED, CliError
    from worker.core.rules.fault import UnfitError
    from worker.core.rules.text import label

    context, database, found = opened(catalog)
    now = wiring.clock()
    try:
        checked = timing(cron, tz, now=now)
        known = label(name)
    except UnfitError as unfit:
        raise CliError(f"the name {unfit.reason}", MISUSED) from unfit
    except BadTiming as error:
        raise CliError(str(error), MISUSED) from error
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
    with database.transaction() as tx:
        schedules.add(tx, values)
    _show(database, name, now, as_json=as_json)


def list_(as_json: output.AsJson = False) -> None:
    """List the schedules with their next fire times."""
    from worker import wiring
    from worker.catalog.queries import schedules
    from worker.cli.context import opened

    _, database = opened()
    now = wiring.clock()
    with database.transaction() as tx:
        found = schedules.every(tx)
    if as_json:
        output.print_json([_as_json(each, now) for each in found])
        return
    if not found:
        output.notes().print("there is no schedule: `darkroom schedule add` creates one")
        return
    table = output.table(
        "schedule",
        "catalog",
        "cron",
        "tz",
        "cap",
        "overlap",
        "missed",
        "next",
        numbers=("cap",),
        whole=("cron",),
        details=("next", "overlap", "missed", "tz"),
    )
    for each in found:
        cap = "" if each.credit_cap is None else f"{each.credit_cap:,}"
        words = (each.overlap.value, each.missed.value.replace("_", "-"))
        table.add_row(each.name, each.catalog, each.cron, each.tz, cap, *words, ", ".join(_next_shown(each, now)))
    output.answers().print(table)


def pause(name: ScheduleName, as_json: output.AsJson = False) -> None:
    """Pause a schedule; a run in progress continues."""
    from worker import wiring
    from worker.catalog.queries import schedules
    from worker.cli.context import opened

    _, database = opened()
    now = wiring.clock()
    with database.transaction() as tx:
        schedules.pause(tx, found_schedule(tx, name).id, now=now)
    _show(database, name, now, as_json=as_json)


def resume(name: ScheduleName, as_json: output.AsJson = False) -> None:
    """Resume a schedule; fire times that passed while it was paused are not made up for."""
    from worker import wiring
    from worker.catalog.queries import schedules
    from worker.cli.context import opened

    _, database = opened()
    now = wiring.clock()
    with database.transaction() as tx:
        schedules.resume(tx, found_schedule(tx, name).id, now=now)
    _show(database, name, now, as_json=as_json)


def remove(name: ScheduleName, by: ByOption = None, as_json: output.AsJson = False) -> None:
    """Remove a schedule and its waiting runs. Past runs stay on record."""
    from worker import wiring
    from worker.catalog import approving
    from worker.cli import signing
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    approving.remove(database, found.id, by=signing.actor(by), now=wiring.clock())
    if as_json:
        output.print_json({"schedule": found.name, "removed": True})
    else:
        output.answers().print(f"schedule {found.name} is removed", markup=False)


def _show(database: "Database", name: str, now: datetime, *, as_json: bool) -> None:
    with database.transaction() as tx:
        found = found_schedule(tx, name)
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
    """Return the next fire times on the schedule's own clock, with its distance from UTC."""
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


if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.catalog.queries.schedules import ScheduleRow
    from worker.core.db.session import Database


def found_schedule(tx: "Connection", name: str, *, or_removed: bool = False) -> "ScheduleRow":
    """Return the schedule of that name; raise CliError when there is none."""
    from worker.catalog.queries import schedules
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    found = schedules.by_name(tx, name, or_removed=or_removed)
    if found is None:
        raise CliError(f"there is no schedule {plain(name)!r}: `darkroom schedule list` shows all")
    return found
