"""`darkroom schedule`: catalogs that are refreshed by themselves."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.cli import output
from worker.cli.signing import ByOption, ReasonOption

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
    from worker.catalog import schedule_control
    from worker.cli import signing
    from worker.cli.catalog.review import opened

    context, database, found = opened(catalog)
    wanted = schedule_control.Wanted(
        cron=cron, tz=tz, credit_cap=cap, overlap=overlap, missed=MissedPolicy(missed.value.replace("-", "_"))
    )
    account_id = wiring.account(context.settings, database)
    schedule_control.add(database, signing.author(by, None), name, found.id, wanted, account_id=account_id)
    _show(database, name, wiring.clock(), as_json=as_json)


def set_(  # noqa: PLR0917 - typer gives each by its name
    name: ScheduleName,
    cron: Annotated[str | None, typer.Option(help="Another cron line.")] = None,
    cap: Annotated[int | None, typer.Option(min=1, help="Most credits that one run may commit.")] = None,
    tz: Annotated[str | None, typer.Option(help="The time zone of the cron line.")] = None,
    overlap: Annotated[OverlapPolicy | None, typer.Option(help="What to do when runs overlap.")] = None,
    missed: Annotated[Missed | None, typer.Option(help="What to do about missed fire times.")] = None,
    by: ByOption = None,
    reason: ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Change a schedule: when it runs, and what one run may cost. A run in progress continues.

    Who changes it becomes the author of its next plans, so that another person approves those that need approval.
    """
    from worker.catalog import schedule_control
    from worker.cli import signing
    from worker.cli.context import opened
    from worker.cli.errors import MISUSED, CliError

    if (cron, cap, tz, overlap, missed) == (None,) * 5:
        raise CliError("say what to change: --cron, --tz, --cap, --overlap or --missed", MISUSED)
    _, database = opened()
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    if cap is None and found.credit_cap is None:
        raise CliError("this schedule has no cap yet: give one with --cap N", MISUSED)
    wanted = schedule_control.Wanted(
        cron=cron or found.cron,
        tz=tz or found.tz,
        credit_cap=cap or found.credit_cap or 0,
        overlap=overlap or found.overlap,
        missed=found.missed if missed is None else MissedPolicy(missed.value.replace("-", "_")),
    )
    author = signing.author(by, reason)
    schedule_control.change(database, author, found.id, wanted)
    _show(database, name, author.now, as_json=as_json)


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


def pause(name: ScheduleName, by: ByOption = None, as_json: output.AsJson = False) -> None:
    """Pause a schedule; a run in progress continues."""
    from worker.catalog import schedule_control
    from worker.cli import signing
    from worker.cli.context import opened

    _, database = opened()
    author = signing.author(by, None)
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    schedule_control.pause(database, author, found.id)
    _show(database, name, author.now, as_json=as_json)


def resume(name: ScheduleName, by: ByOption = None, as_json: output.AsJson = False) -> None:
    """Resume a schedule; fire times that passed while it was paused are not made up for."""
    from worker.catalog import schedule_control
    from worker.cli import signing
    from worker.cli.context import opened

    _, database = opened()
    author = signing.author(by, None)
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    schedule_control.resume(database, author, found.id)
    _show(database, name, author.now, as_json=as_json)


def remove(name: ScheduleName, by: ByOption = None, as_json: output.AsJson = False) -> None:
    """Remove a schedule and its waiting runs. Past runs stay on record."""
    from worker.catalog import approving
    from worker.cli import signing
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        found = found_schedule(tx, name)
    approving.remove(database, found.id, signing.author(by, None))
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
